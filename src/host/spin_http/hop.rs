//! One step of a request: what is sent, and where a redirect leads.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use http::header::{
    ACCEPT, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, COOKIE, HOST, LOCATION,
    PROXY_AUTHORIZATION, TRANSFER_ENCODING, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use url::Url;
use wasmtime_wasi_http::WasiBody;

use super::bindings::fermyon::spin::http_types as wit;
use super::whole;
use crate::host::http::Target;
use crate::net::percent;

/// What a request to the app itself begins with.
pub(super) const SELF_PREFIX: char = '/';
/// The address of the app itself for the way out.
const SELF_ORIGIN: &str = "http://self.alt";
/// What Spin's client accepts when the guest says nothing.
const ANYTHING: HeaderValue = HeaderValue::from_static("*/*");

/// A request on its way.
#[derive(Debug)]
pub(super) struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Bytes,
}

impl Hop {
    pub(super) fn first(request: wit::Request) -> Result<Self, wit::HttpError> {
        let url = if request.uri.starts_with(SELF_PREFIX) {
            Url::parse(&format!("{SELF_ORIGIN}{}", request.uri))
        } else {
            Url::parse(&request.uri)
        };
        let mut url = url.map_err(|_| wit::HttpError::InvalidUrl)?;
        let mut headers = HeaderMap::new();
        for (name, value) in &request.headers {
            let name = HeaderName::try_from(name).map_err(|_| wit::HttpError::RuntimeError)?;
            let value = HeaderValue::try_from(value).map_err(|_| wit::HttpError::RuntimeError)?;
            headers.append(name, value);
        }
        // They follow from the address and the body; a guest that hands on what it got itself would give others'.
        for derived in [HOST, CONTENT_LENGTH, TRANSFER_ENCODING] {
            headers.remove(derived);
        }
        if !headers.contains_key(AUTHORIZATION)
            && let Some(value) = credentials(&url)
        {
            headers.insert(AUTHORIZATION, value);
        }
        headers.entry(ACCEPT).or_insert(ANYTHING);
        clean(&mut url);
        Ok(Self {
            method: method(request.method),
            url,
            headers,
            body: request.body.unwrap_or_default().into(),
        })
    }

    pub(super) fn message(&self) -> Result<Request<WasiBody>, wit::HttpError> {
        if !matches!(self.url.scheme(), "http" | "https") {
            return Err(wit::HttpError::RuntimeError);
        }
        let mut message = Request::new(whole(self.body.clone()));
        *message.method_mut() = self.method.clone();
        *message.uri_mut() = self.uri()?;
        *message.headers_mut() = self.headers.clone();
        Ok(message)
    }

    /// Where the response sends the request on to; `None` when it is an answer.
    ///
    /// An error for a redirect from outside into the app.
    pub(super) fn redirected<B>(&self, response: &Response<B>) -> Result<Option<Self>, wit::HttpError> {
        let keep_body = match response.status() {
            StatusCode::MOVED_PERMANENTLY | StatusCode::FOUND | StatusCode::SEE_OTHER => false,
            StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => true,
            _ => return Ok(None),
        };
        let here = self.uri()?;
        let here = Target::of(&here).map_err(|_| wit::HttpError::RuntimeError)?;
        // What a component of the app answers goes to the guest as it is.
        if matches!(here, Target::Component(_)) {
            return Ok(None);
        }
        let location = response.headers().get(LOCATION);
        let location = location.and_then(|location| std::str::from_utf8(location.as_bytes()).ok());
        let Some(mut url) = location.and_then(|location| self.url.join(location).ok()) else {
            return Ok(None);
        };
        clean(&mut url);
        let mut next = Self {
            method: self.method.clone(),
            url,
            headers: self.headers.clone(),
            body: self.body.clone(),
        };
        let there = next.uri()?;
        match Target::of(&there).map_err(|_| wit::HttpError::RuntimeError)? {
            Target::Elsewhere => {}
            Target::Itself if matches!(here, Target::Itself) => {}
            Target::Itself | Target::Component(_) => return Err(wit::HttpError::RuntimeError),
        }
        if !keep_body {
            next.drop_body();
        }
        if next.url.origin() != self.url.origin() {
            for secret in [AUTHORIZATION, COOKIE, PROXY_AUTHORIZATION, WWW_AUTHENTICATE] {
                next.headers.remove(secret);
            }
        }
        Ok(Some(next))
    }

    fn drop_body(&mut self) {
        if !matches!(self.method, Method::GET | Method::HEAD) {
            self.method = Method::GET;
        }
        self.body = Bytes::new();
        for about_it in [CONTENT_TYPE, CONTENT_ENCODING] {
            self.headers.remove(about_it);
        }
    }

    fn uri(&self) -> Result<Uri, wit::HttpError> {
        self.url
            .as_str()
            .parse()
            .map_err(|_| wit::HttpError::RuntimeError)
    }
}

/// Without what is not sent as part of an address.
fn clean(url: &mut Url) {
    url.set_fragment(None);
    // These fail for addresses that can't have them, which have none.
    let _ = url.set_username("");
    let _ = url.set_password(None);
}

/// Basic authentication out of `user:password@host`.
fn credentials(url: &Url) -> Option<HeaderValue> {
    if url.username().is_empty() && url.password().is_none() {
        return None;
    }
    let mut pair = percent::decoded(url.username());
    pair.push(b':');
    pair.extend(percent::decoded(url.password().unwrap_or_default()));
    let mut value = HeaderValue::try_from(format!("Basic {}", BASE64.encode(pair))).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn method(method: wit::Method) -> Method {
    match method {
        wit::Method::Get => Method::GET,
        wit::Method::Post => Method::POST,
        wit::Method::Put => Method::PUT,
        wit::Method::Delete => Method::DELETE,
        wit::Method::Patch => Method::PATCH,
        wit::Method::Head => Method::HEAD,
        wit::Method::Options => Method::OPTIONS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn post(uri: &str, headers: &[(&str, &str)]) -> Result<Hop, wit::HttpError> {
        Hop::first(wit::Request {
            method: wit::Method::Post,
            uri: uri.into(),
            headers: headers
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            params: vec![("ignored".into(), "x".into())],
            body: Some(b"body".into()),
        })
    }

    fn redirect(hop: &Hop, status: u16, location: &str) -> Result<Option<Hop>, wit::HttpError> {
        let response = Response::builder().status(status).header(LOCATION, location);
        hop.redirected(&response.body(()).unwrap())
    }

    #[test]
    fn a_path_is_a_request_to_the_app_itself() {
        let uri = |path: &str| post(path, &[]).unwrap().uri().unwrap().to_string();
        assert_eq!(uri("/a?b=c"), "http://self.alt/a?b=c");
        assert_eq!(uri("//evil.example/x"), "http://self.alt//evil.example/x");
    }

    #[test]
    fn mistakes_are_told_apart() {
        assert_eq!(post("no url", &[]).unwrap_err(), wit::HttpError::InvalidUrl);
        for header in [("a b", "c"), ("a", "b\nc")] {
            assert_eq!(
                post("http://h", &[header]).unwrap_err(),
                wit::HttpError::RuntimeError
            );
        }
        let ftp = post("ftp://h/", &[]).unwrap().message().unwrap_err();
        assert_eq!(ftp, wit::HttpError::RuntimeError);
    }

    #[test]
    fn headers_that_follow_from_the_request_are_not_the_guests() {
        let given = [
            ("Host", "other"),
            ("content-length", "99"),
            ("x", "1"),
            ("x", "2"),
        ];
        let message = post("http://h/#part", &given).unwrap().message().unwrap();
        assert_eq!(message.uri(), "http://h/");
        let names: Vec<_> = message.headers().keys().map(HeaderName::as_str).collect();
        assert_eq!(names, ["x", "accept"]);
        assert_eq!(message.headers().get_all("x").iter().count(), 2);
    }

    #[test]
    fn credentials_in_the_address_are_sent_as_a_header() {
        let hop = post("http://us%40er:p:w@h/", &[]).unwrap();
        assert_eq!(hop.uri().unwrap(), "http://h/");
        assert_eq!(hop.headers[AUTHORIZATION], "Basic dXNAZXI6cDp3");
    }

    #[test]
    fn a_redirect_that_sees_other_becomes_a_get() {
        let hop = post("http://h/a/b", &[("content-type", "t"), ("x", "y")]).unwrap();
        for status in [301, 302, 303] {
            let next = redirect(&hop, status, "../c").unwrap().unwrap();
            assert_eq!((next.url.as_str(), &next.method), ("http://h/c", &Method::GET));
            assert!(next.body.is_empty() && !next.headers.contains_key(CONTENT_TYPE));
            assert_eq!(next.headers["x"], "y");
        }
        for status in [307, 308] {
            let next = redirect(&hop, status, "http://h/c").unwrap().unwrap();
            assert_eq!((&next.method, &*next.body), (&Method::POST, &b"body"[..]));
        }
        assert!(redirect(&hop, 304, "/c").unwrap().is_none());
        assert!(redirect(&hop, 200, "/c").unwrap().is_none());
    }

    #[test]
    fn secrets_do_not_leave_their_origin() {
        let hop = post("https://h/", &[("authorization", "a"), ("cookie", "c")]).unwrap();
        let next = redirect(&hop, 302, "/same").unwrap().unwrap();
        assert_eq!(next.headers["authorization"], "a");
        for elsewhere in ["http://h/", "https://h:444/", "https://other/"] {
            let next = redirect(&hop, 302, elsewhere).unwrap().unwrap();
            assert!(!next.headers.contains_key(AUTHORIZATION) && !next.headers.contains_key(COOKIE));
        }
    }

    #[test]
    fn nobody_outside_redirects_into_the_app() {
        let outside = post("http://h/", &[]).unwrap();
        for inside in ["http://self.alt/x", "http://back.spin.internal/"] {
            assert_eq!(
                redirect(&outside, 302, inside).unwrap_err(),
                wit::HttpError::RuntimeError
            );
        }
        let own = post("/a", &[]).unwrap();
        let next = redirect(&own, 302, "/b").unwrap().unwrap();
        assert_eq!(next.url.as_str(), "http://self.alt/b");
        let chained = post("http://back.spin.internal/", &[]).unwrap();
        assert!(redirect(&chained, 302, "/b").unwrap().is_none());
    }
}
