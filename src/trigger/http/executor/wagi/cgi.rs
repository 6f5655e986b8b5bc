//! A request as a CGI program sees it: arguments and environment (`docs/contract/http-trigger.md §6.3`).

use std::collections::BTreeMap;

use http::request::Parts;
use http::{HeaderName, HeaderValue, header};

use crate::trigger::http::headers;

/// The template of a trigger that has none.
pub(super) const DEFAULT_ARGV: &str = "${SCRIPT_NAME} ${ARGS}";

const GATEWAY_INTERFACE: &str = "CGI/1.1";
const SERVER_SOFTWARE: &str = "WAGI/1";
/// Whatever the listener's own is.
const DEFAULT_PORT: u16 = 80;
/// What stands for a header whose value is not ASCII text.
const CORRUPT: &str = "CORRUPT VALUE";
/// Headers that no program is shown.
const HIDDEN: [HeaderName; 3] = [
    header::AUTHORIZATION,
    header::CONNECTION,
    // `HTTP_PROXY` is where many programs look for a proxy of their own.
    HeaderName::from_static("proxy"),
];

/// What each `:name` of the route captured; put into the request's extensions, because headers can't carry every name.
#[derive(Clone, Default)]
pub(in crate::trigger::http) struct PathMatches(pub(in crate::trigger::http) Vec<(String, String)>);

/// The arguments: the template with the raw path and the raw query, split at single spaces.
pub(super) fn arguments(template: &str, request: &Parts) -> Vec<String> {
    let query = request.uri.query().unwrap_or_default().replace('&', " ");
    template
        .replace("${SCRIPT_NAME}", request.uri.path())
        .replace("${ARGS}", &query)
        .split(' ')
        .map(str::to_owned)
        .collect()
}

/// The variables. `request` has the host's headers already, and its URI is absolute; `body` is the length of its body in bytes.
pub(super) fn variables(request: &Parts, body: usize) -> BTreeMap<String, String> {
    let mut variables = from_headers(request);
    let mut set = |name: &str, value: &str| {
        variables.insert(name.to_owned(), value.to_owned());
    };
    let told = |name| text(request.headers.get(name));

    let path_info = told(headers::PATH_INFO);
    let matched_route = told(headers::MATCHED_ROUTE);
    let client = told(headers::CLIENT_ADDR);
    let client_ip = client
        .rsplit_once(':')
        .map_or("", |(ip, _)| ip.trim_start_matches('[').trim_end_matches(']'));
    let authority = request.uri.authority();
    let port = authority.and_then(http::uri::Authority::port_u16);

    set("GATEWAY_INTERFACE", GATEWAY_INTERFACE);
    set("SERVER_SOFTWARE", SERVER_SOFTWARE);
    set("SERVER_PROTOCOL", &format!("{:?}", request.version));
    set("SERVER_NAME", authority.map_or("", http::uri::Authority::host));
    set("SERVER_PORT", &port.unwrap_or(DEFAULT_PORT).to_string());
    set("REQUEST_METHOD", request.method.as_str());
    set("QUERY_STRING", request.uri.query().unwrap_or_default());
    set(
        "SCRIPT_NAME",
        matched_route.strip_suffix("/...").unwrap_or(&matched_route),
    );
    set("PATH_INFO", &path_info);
    set("X_RAW_PATH_INFO", &path_info);
    set("PATH_TRANSLATED", &percent_decode(&path_info));
    set("CONTENT_LENGTH", &body.to_string());
    // Empty with a body too: guests find the type in `HTTP_CONTENT_TYPE`.
    set("CONTENT_TYPE", "");
    set("REMOTE_ADDR", client_ip);
    set("REMOTE_HOST", client_ip);
    set("REMOTE_USER", "");
    set("AUTH_TYPE", "");
    set("X_FULL_URL", &told(headers::FULL_URL));
    set("X_MATCHED_ROUTE", &matched_route);
    set("X_BASE_PATH", &told(headers::BASE_PATH));
    set("X_RAW_COMPONENT_ROUTE", &told(headers::RAW_COMPONENT_ROUTE));
    set("X_COMPONENT_ROUTE", &told(headers::COMPONENT_ROUTE));
    set("X_CLIENT_ADDR", &client);
    if let Some(PathMatches(matches)) = request.extensions.get() {
        for (name, value) in matches {
            set(&format!("X_PATH_MATCH_{}", name.to_uppercase()), value);
        }
    }
    variables
}

/// `HTTP_…` for each header that the client sent; the last value of a repeated one.
fn from_headers(request: &Parts) -> BTreeMap<String, String> {
    let sent = request
        .headers
        .iter()
        // With `_` it would pass for another one with `-`, which only proxies or the host may say.
        .filter(|(name, _)| !name.as_str().contains('_'))
        .filter(|(name, _)| !HIDDEN.contains(name) && !headers::is_of_the_host(name));
    sent.map(|(name, value)| {
        let name = format!("HTTP_{}", name.as_str().to_uppercase().replace('-', "_"));
        (name, value.to_str().unwrap_or(CORRUPT).to_owned())
    })
    .collect()
}

/// The host's own headers may hold text beyond ASCII.
fn text(value: Option<&HeaderValue>) -> String {
    value.map_or_else(String::new, |value| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    })
}

/// What is no escape, or no UTF-8 after it, stays or is replaced: a path is whatever the client sent.
fn percent_decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let digit = |offset: usize| Some(char::from(*bytes.get(at + offset)?).to_digit(16)? as u8);
        match (bytes[at], digit(1), digit(2)) {
            (b'%', Some(high), Some(low)) => {
                decoded.push(high << 4 | low);
                at += 3;
            }
            (byte, ..) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn parts(build: impl FnOnce(http::request::Builder) -> http::request::Builder) -> Parts {
        let request = Request::builder()
            .uri("http://h:81/w/a%20b/c?x=1&y=%26")
            .header("host", "h:81")
            .header("spin-path-info", "/a%20b/c")
            .header("spin-matched-route", "/w/...")
            .header("spin-client-addr", "[::1]:9");
        build(request).body(()).unwrap().into_parts().0
    }

    #[test]
    fn arguments_are_split_at_single_spaces() {
        let arguments = |template, uri: &str| {
            let request = Request::builder().uri(uri).body(()).unwrap();
            arguments(template, &request.into_parts().0)
        };
        assert_eq!(
            arguments("first ${SCRIPT_NAME} ${ARGS} last", "http://h/w/x?a=1&b=2"),
            ["first", "/w/x", "a=1", "b=2", "last"]
        );
        assert_eq!(arguments(DEFAULT_ARGV, "http://h/w/%20"), ["/w/%20", ""]);
        assert_eq!(arguments("a  b", "http://h/"), ["a", "", "b"]);
    }

    #[test]
    fn the_request_is_told_in_variables() {
        let variables = variables(&parts(|request| request.method("POST").header("x-y", "z")), 3);
        for (name, expected) in [
            ("REQUEST_METHOD", "POST"),
            ("QUERY_STRING", "x=1&y=%26"),
            ("SCRIPT_NAME", "/w"),
            ("X_MATCHED_ROUTE", "/w/..."),
            ("PATH_INFO", "/a%20b/c"),
            ("X_RAW_PATH_INFO", "/a%20b/c"),
            ("PATH_TRANSLATED", "/a b/c"),
            ("SERVER_NAME", "h"),
            ("SERVER_PORT", "81"),
            ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("CONTENT_LENGTH", "3"),
            ("CONTENT_TYPE", ""),
            ("REMOTE_ADDR", "::1"),
            ("X_CLIENT_ADDR", "[::1]:9"),
            ("HTTP_X_Y", "z"),
            ("HTTP_HOST", "h:81"),
        ] {
            assert_eq!(variables.get(name).map(String::as_str), Some(expected), "{name}");
        }
        assert!(!variables.contains_key("HTTP_SPIN_PATH_INFO"));
    }

    #[test]
    fn headers_are_shown_but_for_some() {
        let variables = variables(
            &parts(|request| {
                request
                    .header("authorization", "secret")
                    .header("x-twice", "one")
                    .header("x-twice", "two")
                    .header("x-odd", "é")
            }),
            0,
        );
        assert!(!variables.contains_key("HTTP_AUTHORIZATION"));
        assert_eq!(variables["HTTP_X_TWICE"], "two");
        assert_eq!(variables["HTTP_X_ODD"], CORRUPT);
    }

    #[test]
    fn what_the_route_captured_has_variables() {
        let mut parts = parts(|request| request);
        let captured = [("user_Id", "7"), ("same", "1"), ("same", "2")];
        let captured = captured.map(|(name, value)| (name.to_owned(), value.to_owned()));
        parts.extensions.insert(PathMatches(captured.into()));
        let variables = variables(&parts, 0);
        assert_eq!(variables["X_PATH_MATCH_USER_ID"], "7");
        assert_eq!(variables["X_PATH_MATCH_SAME"], "2");
    }

    #[test]
    fn escapes_that_are_none_stay() {
        assert_eq!(percent_decode("/%zz/%4"), "/%zz/%4");
        assert_eq!(percent_decode("/%c3%a9%ff"), "/é\u{fffd}");
    }
}
