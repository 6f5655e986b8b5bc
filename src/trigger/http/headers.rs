//! The headers by which a guest learns how it was reached (`docs/contract/http-trigger.md §3`).

use std::borrow::Cow;

use http::uri::Scheme;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri, header};
use wasmtime_wasi_http::WasiBody;

use super::client::RequestFacts;
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
/// What a prefix that was removed is told in, by this server as by others.
const FORWARDED_PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const PATH_MATCH_PREFIX: &str = "spin-path-match-";
/// Who asks when no socket says.
const NO_CLIENT: &str = "0.0.0.0:0";
/// The route of a chained request, which was not routed.
const CHAINED_ROUTE: &str = "/...";
const CHAIN_DOMAIN: &str = ".spin.internal";

/// Where a request comes from.
#[derive(Clone, Copy)]
pub(super) enum Origin<'a> {
    Client(Asked<'a>),
    /// A component of the same app, by the name of the component it wants.
    Chained,
    /// The app itself, by its routes.
    Itself,
}

/// What a client asked for.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) facts: &'a RequestFacts,
    /// As it came: with the prefix.
    pub(super) target: &'a Uri,
    /// What has been removed from the front of the path; mostly nothing.
    pub(super) prefix: &'a str,
}

impl Origin<'_> {
    pub(super) fn scheme(&self) -> Scheme {
        match self {
            Self::Client(asked) => asked.facts.scheme.clone(),
            Self::Chained | Self::Itself => Scheme::HTTP,
        }
    }

    /// Whether this server is to get requests, as far as the one who asks is concerned.
    pub(super) fn ready(&self) -> bool {
        match self {
            Self::Client(asked) => asked.facts.ready,
            Self::Chained | Self::Itself => true,
        }
    }

    fn prefix(&self) -> &str {
        match self {
            Self::Client(asked) => asked.prefix,
            Self::Chained | Self::Itself => "",
        }
    }
}

/// Puts the host's headers in place of any that the client sent under their names. `route` is `None` for a chained request.
/// The request's URI is absolute.
pub(super) fn inject(
    request: &mut Request<WasiBody>,
    route: Option<&RouteMatch<'_>>,
    origin: Origin<'_>,
    base_path: &str,
) -> Result<(), GuestError> {
    if request
        .headers()
        .values()
        .any(|value| std::str::from_utf8(value.as_bytes()).is_err())
    {
        return Err(GuestError::BadHeader);
    }
    let full_url = full_url(request.uri(), origin);
    let prefix = origin.prefix();
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
    put(BASE_PATH, &below(prefix, base_path))?;
    if !prefix.is_empty() {
        put(FORWARDED_PREFIX, prefix)?;
    }
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
    let client = match origin {
        Origin::Client(asked) => asked.facts.client,
        Origin::Chained | Origin::Itself => None,
    };
    match client {
        Some(client) => put(CLIENT_ADDR, &client.to_string()),
        None => put(CLIENT_ADDR, NO_CLIENT),
    }
}

/// What was asked for: the request's own URI, with the path that the client wrote, and the host that it wrote for a proxy.
fn full_url(uri: &Uri, origin: Origin<'_>) -> String {
    let Origin::Client(asked) = origin else {
        return uri.to_string();
    };
    match (uri.scheme_str(), asked.facts.host.as_ref().or(uri.authority())) {
        (Some(scheme), Some(authority)) => {
            let target = match asked.prefix {
                "" => uri.path_and_query(),
                _ => asked.target.path_and_query(),
            };
            let target = target.map_or("/", |target| target.as_str());
            format!("{scheme}://{authority}{target}")
        }
        _ => uri.to_string(),
    }
}

/// Where the app's base is for the client.
fn below<'p>(prefix: &'p str, base_path: &'p str) -> Cow<'p, str> {
    match (prefix, base_path) {
        ("", base_path) => base_path.into(),
        (prefix, "/") => prefix.into(),
        (prefix, base_path) => format!("{prefix}/{}", base_path.trim_start_matches('/')).into(),
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

    fn client(client: Option<&str>) -> RequestFacts {
        RequestFacts {
            client: client.map(|client| client.parse().unwrap()),
            scheme: Scheme::HTTP,
            host: None,
            ready: true,
        }
    }

    /// From a client of an app with every path.
    fn whole(facts: &RequestFacts) -> Origin<'_> {
        static TARGET: std::sync::LazyLock<Uri> = std::sync::LazyLock::new(Uri::default);
        Origin::Client(Asked {
            facts,
            target: &TARGET,
            prefix: "",
        })
    }

    fn injected(route: Option<&str>, uri: &str, sent: &[(&str, &str)], origin: Origin<'_>) -> HeaderMap {
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
        let facts = client(Some("[::1]:9"));
        let headers = injected(Some("/u/:User_Id/..."), "http://h:1/u/x/y?q", &[], whole(&facts));
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
        let headers = injected(Some("/..."), "http://h/", &sent, whole(&client(None)));
        assert_eq!(
            headers.get_all("spin-client-addr").iter().collect::<Vec<_>>(),
            [NO_CLIENT]
        );
        assert!(!headers.contains_key("spin-path-match-admin") && !headers.contains_key("connection"));
        assert_eq!(headers["x-forwarded-for"], "kept");
    }

    #[test]
    fn the_url_is_what_the_client_wrote_for_the_proxy_before_us() {
        let facts = RequestFacts {
            scheme: Scheme::HTTPS,
            host: Some("shop.example".parse().unwrap()),
            ..client(Some("203.0.113.7:0"))
        };
        let headers = injected(Some("/..."), "https://127.0.0.1:80/a?b", &[], whole(&facts));
        assert_eq!(headers["spin-full-url"], "https://shop.example/a?b");
        assert_eq!(headers["spin-client-addr"], "203.0.113.7:0");
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

    #[test]
    fn an_app_whose_prefix_was_removed_is_told_what_the_client_asked_for() {
        let facts = client(None);
        let asked = |target: &'static str| {
            let target: &'static Uri = Box::leak(Box::new(Uri::from_static(target)));
            Origin::Client(Asked {
                facts: &facts,
                target,
                prefix: "/shop",
            })
        };
        let sent = [("x-forwarded-prefix", "/lie")];
        let headers = injected(
            Some("/cart/..."),
            "http://h:1/cart/a?q",
            &sent,
            asked("/shop/cart/a?q"),
        );
        assert_eq!(headers["spin-full-url"], "http://h:1/shop/cart/a?q");
        assert_eq!(headers["spin-path-info"], "/a");
        assert_eq!(headers["spin-matched-route"], "/cart/...");
        assert_eq!(headers["spin-base-path"], "/shop");
        assert_eq!(
            headers.get_all("x-forwarded-prefix").iter().collect::<Vec<_>>(),
            ["/shop"]
        );
        let headers = injected(Some("/..."), "http://h/", &[], asked("/shop"));
        assert_eq!(headers["spin-full-url"], "http://h/shop");
        assert_eq!((&*below("/shop", "/api"), &*below("", "/")), ("/shop/api", "/"));
    }
}
