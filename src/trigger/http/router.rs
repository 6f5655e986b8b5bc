//! Which component answers a path (`docs/contract/http-trigger.md §2`).
//!
//! `routefinder` 0.5 reads and matches the patterns, as it does for Spin; the order of precedence is ours, because the
//! crate's own is not one that can be sorted by.

use std::cmp::Ordering;

use routefinder::{RouteSpec, Segment};

use super::config::Route;

/// How a manifest writes a wildcard, and how the crate does.
const DOTS: &str = "/...";
const STAR: &str = "/*";
/// Paths that the host keeps for itself.
const RESERVED: &str = "/.well-known/spin/";

/// What is wrong with a route.
#[derive(Debug, thiserror::Error)]
pub enum RouteError {
    #[error("the route `{route}` is not a pattern: {reason}")]
    Pattern { route: String, reason: String },
    #[error("the route `{0}` has a wildcard that is not its last segment: only `/...` at the end is one")]
    InnerWildcard(String),
}

/// What is odd about an app's routes, though it can be served.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RouteWarning {
    /// Two triggers have it: the later one is served.
    Twice(String),
    /// The host answers below `/.well-known/spin/` itself.
    Reserved(String),
}

/// An app's routes, most specific first.
pub(super) struct Router {
    entries: Vec<Entry>,
}

struct Entry {
    written: String,
    /// With a leading slash, without a trailing one; `""` for the root.
    based: String,
    spec: RouteSpec,
    target: usize,
}

/// The route that a path matched.
pub(super) struct RouteMatch<'r> {
    entry: &'r Entry,
    /// What the wildcard captured, as the guest is told.
    pub(super) path_info: String,
    captures: Vec<&'r str>,
}

impl Router {
    /// `routes` in the order of their triggers, each with the number of what it leads to.
    pub(super) fn new(
        routes: impl IntoIterator<Item = (Route, usize)>,
    ) -> Result<(Self, Vec<RouteWarning>), RouteError> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut warnings = Vec::new();
        for (Route { written, based }, target) in routes {
            let based = normalise(&based);
            if based.starts_with(RESERVED) {
                warnings.push(RouteWarning::Reserved(written.clone()));
            }
            if let Some(earlier) = entries.iter_mut().find(|entry| entry.written == written) {
                earlier.target = target;
                warnings.push(RouteWarning::Twice(written));
                continue;
            }
            let spec = parse(&based)?;
            entries.push(Entry {
                written,
                based,
                spec,
                target,
            });
        }
        // The sort is stable: of two routes that match the same, the first declared wins.
        entries.sort_by(|a, b| precedence(&a.spec, &b.spec));
        Ok((Self { entries }, warnings))
    }

    /// The most specific route that matches a raw path, not percent-decoded, without its query.
    pub(super) fn find<'r>(&'r self, path: &'r str) -> Option<RouteMatch<'r>> {
        self.entries.iter().find_map(|entry| {
            let captures = entry.spec.matches(path)?;
            let wildcard = if entry.has_wildcard() {
                captures.last()
            } else {
                None
            };
            let path_info = wildcard.map_or_else(String::new, |captured| path_info(captured, path));
            Some(RouteMatch {
                entry,
                path_info,
                captures,
            })
        })
    }

    /// Every route as it is written, and what it leads to, for the log.
    pub(super) fn routes(&self) -> impl Iterator<Item = (&str, usize)> {
        self.entries
            .iter()
            .map(|entry| (entry.based.as_str(), entry.target))
    }
}

impl Entry {
    fn has_wildcard(&self) -> bool {
        matches!(self.spec.segments().last(), Some(Segment::Wildcard))
    }
}

impl<'r> RouteMatch<'r> {
    pub(super) fn target(&self) -> usize {
        self.entry.target
    }

    /// With its wildcard; `""` for the root.
    pub(super) fn matched_route(&self) -> &'r str {
        &self.entry.based
    }

    /// Exactly as it is written.
    pub(super) fn raw_component_route(&self) -> &'r str {
        &self.entry.written
    }

    /// As it is written, without a trailing `/...`.
    pub(super) fn component_route(&self) -> &'r str {
        self.entry
            .written
            .strip_suffix(DOTS)
            .unwrap_or(&self.entry.written)
    }

    /// Each `:name` and what it captured.
    pub(super) fn parameters(&self) -> impl Iterator<Item = (&'r str, &'r str)> {
        let names = self
            .entry
            .spec
            .segments()
            .iter()
            .filter_map(|segment| match segment {
                Segment::Param(name) => Some(Some(name.as_str())),
                Segment::Wildcard => Some(None),
                _ => None,
            });
        names
            .zip(self.captures.iter().copied())
            .filter_map(|(name, value)| Some((name?, value)))
    }
}

fn normalise(route: &str) -> String {
    let route = route.strip_suffix('/').unwrap_or(route);
    if route.is_empty() || route.starts_with('/') {
        route.to_owned()
    } else {
        format!("/{route}")
    }
}

fn parse(based: &str) -> Result<RouteSpec, RouteError> {
    // The crate takes the places of bytes for those of characters.
    if !based.is_ascii() {
        let reason =
            "it has characters beyond ASCII: write them percent-encoded, as clients send them".to_owned();
        return Err(RouteError::Pattern {
            route: based.to_owned(),
            reason,
        });
    }
    let pattern = match based.strip_suffix(DOTS) {
        Some(prefix) => format!("{prefix}{STAR}"),
        None => based.to_owned(),
    };
    let spec: RouteSpec = pattern.parse().map_err(|reason| RouteError::Pattern {
        route: based.to_owned(),
        reason,
    })?;
    let inner = &spec.segments()[..spec.segments().len().saturating_sub(1)];
    let dots = pattern.split('/').any(|segment| segment == "...");
    if dots || inner.contains(&Segment::Wildcard) {
        return Err(RouteError::InnerWildcard(based.to_owned()));
    }
    Ok(spec)
}

/// `Less` for what is tried first: segment by segment, literals before parameters before wildcards; then more dots; then
/// fewer segments.
fn precedence(a: &RouteSpec, b: &RouteSpec) -> Ordering {
    let rank = |segment: &Segment| match segment {
        Segment::Exact(_) => 0,
        Segment::Param(_) => 1,
        Segment::Wildcard => 2,
        Segment::Slash | Segment::Dot => 3,
    };
    let dots = |spec: &RouteSpec| {
        spec.segments()
            .iter()
            .filter(|segment| **segment == Segment::Dot)
            .count()
    };
    a.segments()
        .iter()
        .zip(b.segments())
        .map(|(a, b)| rank(a).cmp(&rank(b)))
        .find(|order| order.is_ne())
        .unwrap_or_else(|| dots(b).cmp(&dots(a)))
        .then_with(|| a.segments().len().cmp(&b.segments().len()))
}

fn path_info(captured: &str, path: &str) -> String {
    let mut info = String::with_capacity(captured.len() + 2);
    if !captured.is_empty() {
        info.push('/');
        info.push_str(captured);
    }
    if path.ends_with('/') {
        info.push('/');
    }
    info
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(routes: &[&str]) -> Router {
        let routes = routes.iter().enumerate().map(|(index, route)| {
            (
                Route {
                    written: route.to_string(),
                    based: route.to_string(),
                },
                index,
            )
        });
        Router::new(routes).unwrap().0
    }

    fn target(routes: &[&str], path: &str) -> Option<usize> {
        router(routes).find(path).map(|found| found.target())
    }

    fn info(route: &str, path: &str) -> Option<String> {
        router(&[route]).find(path).map(|found| found.path_info)
    }

    #[test]
    fn a_literal_matches_itself_with_slashes_around_it() {
        for path in ["/a/b", "/a/b/", "//a/b//"] {
            assert_eq!(target(&["/a/b"], path), Some(0), "{path}");
        }
        for path in ["/a", "/a/b/c", "/a//b", "/A/b", "/a/%62"] {
            assert_eq!(target(&["/a/b"], path), None, "{path}");
        }
    }

    #[test]
    fn empty_segments_of_a_route_are_ignored() {
        assert_eq!(target(&["/a//b"], "/a/b"), Some(0));
        assert_eq!(target(&["/a//b"], "/a//b"), None);
        assert_eq!(target(&["a/b"], "/a/b"), Some(0));
    }

    #[test]
    fn a_wildcard_matches_its_prefix_and_all_below() {
        for route in ["/foo/...", "/foo/*"] {
            for path in ["/foo", "/foo/", "/foo/a/b"] {
                assert_eq!(target(&[route], path), Some(0), "{route} {path}");
            }
            assert_eq!(target(&[route], "/foobar"), None);
        }
        assert_eq!(target(&["/..."], "/"), Some(0));
    }

    #[test]
    fn a_parameter_matches_one_segment() {
        let router = router(&["/u/:id/f"]);
        let found = router.find("/u/a.b/f").unwrap();
        assert_eq!(found.parameters().collect::<Vec<_>>(), [("id", "a.b")]);
        assert!(router.find("/u/a/b/f").is_none());
        assert!(router.find("/u/f").is_none());
    }

    #[test]
    fn an_inner_empty_segment_is_a_value_and_a_missing_last_one_is_not() {
        assert_eq!(target(&["/u/:id/f"], "/u//f"), Some(0));
        assert_eq!(target(&["/u/:id"], "/u/"), None);
    }

    #[test]
    fn a_parameter_before_a_dot_stops_at_the_first_one() {
        assert_eq!(target(&["/f/:n.json"], "/f/k.json"), Some(0));
        assert_eq!(target(&["/f/:n.json"], "/f/.json"), Some(0));
        assert_eq!(target(&["/f/:n.json"], "/f/a.b.json"), None);
    }

    #[test]
    fn a_wildcard_that_is_not_last_is_refused() {
        for route in ["/a/*/b", "/a/.../b"] {
            let route = Route {
                written: route.into(),
                based: route.into(),
            };
            assert!(matches!(
                Router::new([(route, 0)]),
                Err(RouteError::InnerWildcard(_))
            ));
        }
        for route in ["/*name", "/:", "/\u{e9}"] {
            let route = Route {
                written: route.into(),
                based: route.into(),
            };
            assert!(matches!(
                Router::new([(route, 0)]),
                Err(RouteError::Pattern { .. })
            ));
        }
    }

    #[test]
    fn the_more_specific_route_wins_in_whatever_order_they_are_declared() {
        let mut routes = ["/a/b/*", "/a/:y", "/a/*", "/:x/b", "/:x/:y"];
        for _ in 0..2 {
            let sorted: Vec<_> = router(&routes)
                .entries
                .iter()
                .map(|entry| entry.written.clone())
                .collect();
            assert_eq!(sorted, ["/a/b/*", "/a/:y", "/a/*", "/:x/b", "/:x/:y"]);
            routes.reverse();
        }
        assert_eq!(target(&["/a/:y", "/a/b/..."], "/a/b"), Some(1));
        let order = ["/...", "/foo/...", "/foo", "/"];
        let sorted: Vec<_> = router(&order)
            .entries
            .iter()
            .map(|entry| entry.based.clone())
            .collect();
        assert_eq!(sorted, ["", "/foo", "/foo/...", "/..."]);
    }

    #[test]
    fn of_routes_that_match_the_same_the_first_declared_wins() {
        assert_eq!(target(&["/foo", "/foo/"], "/foo"), Some(0));
        assert_eq!(target(&["/u/:id", "/u/:name"], "/u/x"), Some(0));
    }

    #[test]
    fn a_route_declared_twice_leads_to_the_later_trigger() {
        let route = |target| {
            (
                Route {
                    written: "/a".into(),
                    based: "/a".into(),
                },
                target,
            )
        };
        let (router, warnings) = Router::new([route(0), route(1)]).unwrap();
        assert_eq!(router.find("/a").unwrap().target(), 1);
        assert_eq!(warnings, [RouteWarning::Twice("/a".into())]);
    }

    #[test]
    fn a_route_that_the_host_keeps_is_reported() {
        let route = Route {
            written: "/.well-known/spin/x".into(),
            based: "/.well-known/spin/x".into(),
        };
        assert!(matches!(
            Router::new([(route, 0)]).unwrap().1[..],
            [RouteWarning::Reserved(_)]
        ));
    }

    #[test]
    fn path_info_is_what_the_wildcard_captured() {
        for (route, path, expected) in [
            ("/foo/...", "/foo", ""),
            ("/foo/...", "/foo/", "/"),
            ("/foo/...", "/foo/a", "/a"),
            ("/foo/...", "/foo/a/", "/a/"),
            ("/foo/...", "/foo//a", "//a"),
            ("/...", "//", "/"),
            ("/...", "//x//y//", "/x//y/"),
            ("/foo", "/foo/", ""),
        ] {
            assert_eq!(info(route, path).as_deref(), Some(expected), "{route} {path}");
        }
    }

    #[test]
    fn the_forms_of_a_route_that_headers_show() {
        let show = |route| {
            let router = router(&[route]);
            let found = router.find("/foo").or(router.find("/")).unwrap();
            [
                found.matched_route(),
                found.raw_component_route(),
                found.component_route(),
            ]
            .map(str::to_owned)
        };
        assert_eq!(show("/foo/..."), ["/foo/...", "/foo/...", "/foo"]);
        assert_eq!(show("/foo/*"), ["/foo/*", "/foo/*", "/foo/*"]);
        assert_eq!(show("/foo/"), ["/foo", "/foo/", "/foo/"]);
        assert_eq!(show("/..."), ["/...", "/...", ""]);
        assert_eq!(show("/"), ["", "/", "/"]);
    }
}
