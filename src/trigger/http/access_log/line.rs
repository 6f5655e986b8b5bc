//! What a line says, and how.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use http::uri::Scheme;
use http::{HeaderMap, HeaderName, Method, Request, Version, header};
use serde::Serialize;

use crate::trigger::http::client::{ClientFacts, RequestFacts};
use crate::trigger::http::host;
use crate::trigger::http::request_id::RequestId;
use crate::trigger::http::settings::AccessLogFormat;

/// The time in the form of NCSA's log.
const NCSA_TIME: &str = "%d/%b/%Y:%H:%M:%S %z";
/// The status of a request whose client has left before there was an answer: nginx's, for want of a standard one.
pub(super) const CLIENT_LEFT: u16 = 499;

/// One request and its response.
pub(super) struct Entry {
    began: DateTime<Utc>,
    client: Option<SocketAddr>,
    method: Method,
    /// Path and query, as they were sent.
    target: String,
    version: Version,
    host: Option<String>,
    referer: Option<String>,
    user_agent: Option<String>,
    request_id: RequestId,
    scheme: Scheme,
    /// Of the connection: `scheme` may be that of a proxy's.
    tls: bool,
    pub(super) app: Option<Arc<str>>,
    pub(super) status: u16,
    /// Of the response's body.
    pub(super) bytes: u64,
    pub(super) duration: Duration,
}

impl Entry {
    /// What the request says; the response is yet to come.
    pub(super) fn of<B>(
        request: &Request<B>,
        client: &ClientFacts,
        facts: &RequestFacts,
        request_id: &RequestId,
    ) -> Box<Self> {
        let uri = request.uri();
        let target = uri
            .path_and_query()
            .map_or_else(|| uri.to_string(), ToString::to_string);
        let host = host::authority(request).flatten();
        Box::new(Self {
            began: Utc::now(),
            client: facts.client,
            method: request.method().clone(),
            target,
            version: request.version(),
            host: host.map(|host| host.to_string()),
            referer: text(request.headers(), &header::REFERER),
            user_agent: text(request.headers(), &header::USER_AGENT),
            request_id: request_id.clone(),
            scheme: facts.scheme.clone(),
            tls: client.scheme == Scheme::HTTPS,
            app: None,
            status: CLIENT_LEFT,
            bytes: 0,
            duration: Duration::ZERO,
        })
    }

    /// The line, with its end.
    pub(super) fn write(&self, format: AccessLogFormat) -> String {
        let mut line = match format {
            AccessLogFormat::Common => self.common(),
            AccessLogFormat::Json => self.json(),
        };
        line.push('\n');
        line
    }

    fn client_ip(&self) -> Option<String> {
        self.client.map(|client| client.ip().to_canonical().to_string())
    }

    fn common(&self) -> String {
        let client = self.client_ip();
        let bytes = match self.bytes {
            0 => "-".to_owned(),
            bytes => bytes.to_string(),
        };
        format!(
            "{} - - [{}] \"{} {} {:?}\" {} {bytes} \"{}\" \"{}\"",
            client.as_deref().unwrap_or("-"),
            self.began.format(NCSA_TIME),
            self.method,
            Escaped(&self.target),
            self.version,
            self.status,
            Escaped(self.referer.as_deref().unwrap_or("-")),
            Escaped(self.user_agent.as_deref().unwrap_or("-")),
        )
    }

    fn json(&self) -> String {
        let line = Line {
            time: self.began.to_rfc3339_opts(SecondsFormat::Millis, true),
            client: self.client_ip(),
            method: self.method.as_str(),
            scheme: self.scheme.as_str(),
            host: self.host.as_deref(),
            path: &self.target,
            protocol: format!("{:?}", self.version),
            status: self.status,
            bytes: self.bytes,
            seconds: self.duration.as_secs_f64(),
            app: self.app.as_deref(),
            request_id: self.request_id.as_str(),
            tls: self.tls,
            referer: self.referer.as_deref(),
            user_agent: self.user_agent.as_deref(),
        };
        // Texts and numbers always have a JSON form.
        serde_json::to_string(&line).unwrap_or_default()
    }
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(String::from_utf8_lossy(value.as_bytes()).into_owned())
}

/// The JSON form. What is not known is null.
#[derive(Serialize)]
struct Line<'a> {
    time: String,
    client: Option<String>,
    method: &'a str,
    scheme: &'a str,
    host: Option<&'a str>,
    path: &'a str,
    protocol: String,
    status: u16,
    bytes: u64,
    seconds: f64,
    app: Option<&'a str>,
    request_id: &'a str,
    tls: bool,
    referer: Option<&'a str>,
    user_agent: Option<&'a str>,
}

/// Text within quotes, as Apache and nginx write it: nothing of it ends the quotes, or the line.
struct Escaped<'a>(&'a str);

impl std::fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for character in self.0.chars() {
            match character {
                '"' | '\\' => write!(f, "\\x{:02X}", u32::from(character))?,
                character if character.is_control() => write!(f, "\\x{:02X}", u32::from(character))?,
                character => f.write_char(character)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use chrono::TimeZone;
    use http::HeaderMap;

    use super::super::super::tls::TlsFacts;
    use super::*;

    fn entry(request: http::request::Builder) -> Box<Entry> {
        let client = ClientFacts {
            peer: Some("203.0.113.7:4711".parse().unwrap()),
            scheme: Scheme::HTTP,
            tls: TlsFacts::default(),
        };
        let facts = RequestFacts {
            scheme: Scheme::HTTPS,
            ..client.of_request(true)
        };
        let mut headers = HeaderMap::new();
        headers.insert("x-request-id", "id-1".parse().unwrap());
        let request = request.body(()).unwrap();
        let mut entry = Entry::of(&request, &client, &facts, &RequestId::settle(&mut headers));
        entry.began = Utc.with_ymd_and_hms(2026, 11, 29, 1, 2, 3).unwrap();
        entry
    }

    #[test]
    fn the_common_form_is_what_web_servers_write() {
        let request = Request::builder()
            .uri("/a%22\"?b=\\")
            .header("host", "shop.example");
        let request = request
            .header("referer", "http://h/")
            .header("user-agent", "a\"b\tc");
        let mut entry = entry(request);
        (entry.status, entry.bytes) = (200, 1234);
        assert_eq!(
            entry.write(AccessLogFormat::Common),
            "203.0.113.7 - - [29/Nov/2026:01:02:03 +0000] \"GET /a%22\\x22?b=\\x5C HTTP/1.1\" 200 1234 \"http://h/\" \
             \"a\\x22b\\x09c\"\n"
        );
    }

    #[test]
    fn what_is_not_known_is_a_dash_or_null() {
        let mut entry = entry(Request::builder().uri("/"));
        entry.client = None;
        assert_eq!(
            entry.write(AccessLogFormat::Common),
            "- - - [29/Nov/2026:01:02:03 +0000] \"GET / HTTP/1.1\" 499 - \"-\" \"-\"\n"
        );
        let line: serde_json::Value = serde_json::from_str(&entry.write(AccessLogFormat::Json)).unwrap();
        assert_eq!(line["client"], serde_json::Value::Null);
        assert_eq!(line["app"], serde_json::Value::Null);
    }

    #[test]
    fn the_json_form_has_all_of_it() {
        let request = Request::builder()
            .uri("http://shop.example:81/a?b")
            .version(Version::HTTP_2);
        let mut entry = entry(request);
        entry.app = Some("shop".into());
        (entry.status, entry.bytes) = (404, 7);
        entry.duration = Duration::from_millis(1500);
        let line: serde_json::Value = serde_json::from_str(&entry.write(AccessLogFormat::Json)).unwrap();
        let expected = serde_json::json!({
            "time": "2026-11-29T01:02:03.000Z", "client": "203.0.113.7", "method": "GET", "scheme": "https",
            "host": "shop.example:81", "path": "/a?b", "protocol": "HTTP/2.0", "status": 404, "bytes": 7, "seconds": 1.5,
            "app": "shop", "request_id": "id-1", "tls": false, "referer": null, "user_agent": null,
        });
        assert_eq!(line, expected);
    }
}
