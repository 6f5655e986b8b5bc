//! From http to https.

use http::header::HeaderValue;
use http::uri::{Authority, PathAndQuery};

/// The port of an https URL that names none.
pub(in crate::trigger::http) const HTTPS_PORT: u16 = 443;

/// Where a client is sent on to: the same host, path and query, at `port`. `None` where it named no host that can stand in a
/// URL.
pub(in crate::trigger::http) fn location(
    asked: &Authority,
    port: u16,
    target: Option<&PathAndQuery>,
) -> Option<HeaderValue> {
    let host = asked.host();
    let target = target.map_or("/", PathAndQuery::as_str);
    if host.is_empty() || !target.starts_with('/') {
        return None;
    }
    let location = match port {
        HTTPS_PORT => format!("https://{host}{target}"),
        port => format!("https://{host}:{port}{target}"),
    };
    HeaderValue::try_from(location).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(host: &str, port: u16, target: &str) -> Option<String> {
        let target: PathAndQuery = target.parse().unwrap();
        let location = location(&host.parse().ok()?, port, Some(&target))?;
        Some(location.to_str().unwrap().to_owned())
    }

    #[test]
    fn host_path_and_query_stay_and_the_port_is_the_one_that_speaks_tls() {
        assert_eq!(
            to("a.example", 443, "/b?c=d%20e").unwrap(),
            "https://a.example/b?c=d%20e"
        );
        assert_eq!(
            to("a.example:8080", 8443, "/").unwrap(),
            "https://a.example:8443/"
        );
        assert_eq!(to("[::1]:80", 443, "/").unwrap(), "https://[::1]/");
    }

    #[test]
    fn a_host_that_is_none_is_no_place_to_go_to() {
        assert_eq!(to("", 443, "/"), None);
        assert_eq!(to("a b", 443, "/"), None);
        assert_eq!(to("a.example", 443, "*"), None);
    }
}
