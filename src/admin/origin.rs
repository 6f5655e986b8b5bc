//! Which pages a browser may send commands from: those of this address alone.
//!
//! A browser sends what identifies its user, a client certificate above all, with whatever request a page makes it send.

use axum::extract::Request;
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;

/// Where the page is that has a browser send the request, seen from where it is sent to.
const FETCH_SITE: &str = "sec-fetch-site";

/// Lets no command pass that a page of another origin makes a browser send.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    if request.method().is_safe() || is_own(request.headers()) {
        return next.run(request).await;
    }
    let detail = "the request comes from a page of another address";
    Refused::new(StatusCode::FORBIDDEN, detail, request.uri()).into_response()
}

/// Browsers that say nothing of the site tell the origin; what is no browser tells neither.
fn is_own(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get(FETCH_SITE) {
        return site == "same-origin" || site == "none";
    }
    let Some(origin) = headers.get(header::ORIGIN) else {
        return true;
    };
    let origin = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    matches!((origin, host), (Some((_, origin)), Some(host)) if origin.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_own_pages_and_what_is_no_browser_may_command() {
        let own = |headers: &[(&'static str, &str)]| {
            let mut all = HeaderMap::new();
            all.insert("host", "admin:9000".parse().unwrap());
            for (name, value) in headers {
                all.insert(*name, value.parse().unwrap());
            }
            is_own(&all)
        };
        assert!(own(&[]));
        assert!(own(&[("origin", "https://admin:9000")]));
        assert!(own(&[("sec-fetch-site", "same-origin"), ("origin", "null")]));
        for other in ["http://admin:3000", "https://other.example", "null"] {
            assert!(!own(&[("origin", other)]), "{other}");
        }
        for other in ["same-site", "cross-site"] {
            assert!(!own(&[("sec-fetch-site", other)]), "{other}");
        }
    }
}
