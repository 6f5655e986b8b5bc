//! The headers by which a guest learns how it was reached (`docs/contract/http-trigger.md §3`).

use std::net::SocketAddr;

use http::{HeaderMap, HeaderName, HeaderValue, Request, header};
use wasmtime_wasi_http::WasiBody;

use super::executor::GuestError;
use super::router::RouteMatch;

pub(super) const PATH_INFO: HeaderName = HeaderName::from_static("spin-path-info");
pub(super) const FULL_URL: HeaderName = HeaderName::from_static("spin-full-url");
pub(super) const MATCHED_ROUTE: HeaderName = HeaderName::from_static("spin-matched-route");
pub(super) const BASE_PATH: HeaderName = HeaderName::from_static("spin-base-path");
pub(super) const RAW_COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-raw-component-route");
pub(super) const COMPONENT_ROUTE: HeaderName = HeaderName::from_static("spin-component-route");
pub(super) const CLIENT_ADDR: HeaderName = HeaderName::from_static("spin-client-addr");
const ALL: [HeaderName; 7] = [
    PATH_INFO,
    FULL_URL,
    MATCHED_ROUTE,
    BASE_PATH,
    RAW_COMPONENT_ROUTE,
    COMPONENT_ROUTE,
    CLIENT_ADDR,
];
const PATH_MATCH_PREFIX: &str = "spin-path-match-";
/// Who asks when no socket says.
const NO_CLIENT: &str = "0.0.0.0:0";
/// The route of a chained request, which was not routed.
const CHAINED_ROUTE: &str = "/...";
const CHAIN_DOMAIN: &str = ".spin.internal";

/// Where a request comes from.
#[derive(Debug, Clone, Copy)]
pub(super) enum Origin {
    /// A client; one on a Unix socket has no address.
    Client(Option<SocketAddr>),
    /// A component of the same app, by the name of the component it wants.
    Chained,
    /// The app itself, by its routes.
    Itself,
}

/// Puts the host's headers in place of any that the client sent under their names. `route` is `None` for a chained request.
/// The request's URI is absolute.
pub(super) fn inject(
    request: &mut Request<WasiBody>,
    route: Option<&RouteMatch<'_>>,
    origin: Origin,
    base_path: &str,
) -> Result<(), GuestError> {
    if request
        .headers()
        .values()
        .any(|value| std::str::from_utf8(value.as_bytes()).is_err())
    {
        return Err(GuestError::BadHeader);
    }
    let full_url = request.uri().to_string();
    let path = request.uri().path().to_owned();
    let headers = request.headers_mut();
    clean(headers);
    let mut put = |name: HeaderName, value: &str| -> Result<(), GuestError> {
        // Paths and routes may hold text beyond ASCII, which a value carries as it is.
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| GuestError::BadHeader)?;
        headers.insert(name, value);
        Ok(())
    };
    put(FULL_URL, &full_url)?;
    put(BASE_PATH, base_path)?;
    match route {
        Some(route) => {
            put(PATH_INFO, &route.path_info)?;
            put(MATCHED_ROUTE, route.matched_route())?;
            put(RAW_COMPONENT_ROUTE, route.raw_component_route())?;
            put(COMPONENT_ROUTE, route.component_route())?;
            for (name, value) in route.parameters() {
                let name = format!("{PATH_MATCH_PREFIX}{}", name.to_lowercase().replace('_', "-"));
                // A parameter whose name makes no header is one that no guest can ask for.
                if let Ok(name) = HeaderName::try_from(name) {
                    put(name, value)?;
                }
            }
        }
        None => {
            put(PATH_INFO, &path)?;
            put(MATCHED_ROUTE, CHAINED_ROUTE)?;
            put(RAW_COMPONENT_ROUTE, CHAINED_ROUTE)?;
            put(COMPONENT_ROUTE, "")?;
        }
    }
    match origin {
        Origin::Client(Some(address)) => put(CLIENT_ADDR, &address.to_string()),
        Origin::Client(None) | Origin::Chained | Origin::Itself => put(CLIENT_ADDR, NO_CLIENT),
    }
}

/// Whether the host says it, and not the client.
pub(super) fn is_of_the_host(name: &HeaderName) -> bool {
    ALL.contains(name) || name.as_str().starts_with(PATH_MATCH_PREFIX)
}

/// Removes what a client must not say, and what is of its connection alone.
fn clean(headers: &mut HeaderMap) {
    headers.remove(header::CONNECTION);
    let own: Vec<_> = headers
        .keys()
        .filter(|name| is_of_the_host(name))
        .cloned()
        .collect();
    for name in own {
        headers.remove(name);
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    if host.is_some_and(|host| {
        host.split(':')
            .next()
            .is_some_and(|name| name.ends_with(CHAIN_DOMAIN))
    }) {
        headers.remove(header::HOST);
    }
}

#[cfg(test)]
mod tests {
    use super::super::config::Route;
    use super::super::respond::empty;
    use super::super::router::Router;
    use super::*;

    fn injected(route: Option<&str>, uri: &str, sent: &[(&str, &str)], origin: Origin) -> HeaderMap {
        let mut request = Request::builder().uri(uri);
        for (name, value) in sent {
            request = request.header(*name, *value);
        }
        let mut request = request.body(empty()).unwrap();
        let target = request.uri().clone();
        let router = route.map(|route| {
            Router::new([(
                Route {
                    written: route.into(),
                    based: route.into(),
                },
                0,
            )])
            .unwrap()
            .0
        });
        let found = router.as_ref().and_then(|router| router.find(target.path()));
        inject(&mut request, found.as_ref(), origin, "/").unwrap();
        request.into_parts().0.headers
    }

    #[test]
    fn the_guest_is_told_how_it_was_reached() {
        let client = Origin::Client(Some("[::1]:9".parse().unwrap()));
        let headers = injected(Some("/u/:User_Id/..."), "http://h:1/u/x/y?q", &[], client);
        for (name, expected) in [
            ("spin-path-info", "/y"),
            ("spin-full-url", "http://h:1/u/x/y?q"),
            ("spin-matched-route", "/u/:User_Id/..."),
            ("spin-base-path", "/"),
            ("spin-raw-component-route", "/u/:User_Id/..."),
            ("spin-component-route", "/u/:User_Id"),
            ("spin-client-addr", "[::1]:9"),
            ("spin-path-match-user-id", "x"),
        ] {
            assert_eq!(headers.get(name).unwrap(), expected, "{name}");
        }
    }

    #[test]
    fn what_the_client_sent_under_these_names_is_gone() {
        let sent = [
            ("spin-client-addr", "1.2.3.4:5"),
            ("spin-path-match-admin", "yes"),
            ("connection", "keep-alive"),
            ("x-forwarded-for", "kept"),
        ];
        let headers = injected(Some("/..."), "http://h/", &sent, Origin::Client(None));
        assert_eq!(
            headers.get_all("spin-client-addr").iter().collect::<Vec<_>>(),
            [NO_CLIENT]
        );
        assert!(!headers.contains_key("spin-path-match-admin") && !headers.contains_key("connection"));
        assert_eq!(headers["x-forwarded-for"], "kept");
    }

    #[test]
    fn a_chained_request_was_not_routed() {
        let sent = [("host", "back.spin.internal")];
        let headers = injected(None, "http://back.spin.internal/x/y", &sent, Origin::Chained);
        assert_eq!(headers["spin-path-info"], "/x/y");
        assert_eq!(headers["spin-matched-route"], "/...");
        assert_eq!(headers["spin-component-route"], "");
        assert!(!headers.contains_key("host"));
    }

    #[test]
    fn a_header_that_is_no_text_is_an_error() {
        let mut request = Request::builder().uri("http://h/").body(empty()).unwrap();
        request
            .headers_mut()
            .insert("x", HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(matches!(
            inject(&mut request, None, Origin::Chained, "/"),
            Err(GuestError::BadHeader)
        ));
    }
}
