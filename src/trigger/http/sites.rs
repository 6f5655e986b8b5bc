//! Which app of an address answers a request: by host first, then by path (`docs/contract/http-trigger.md §2`).
//!
//! Exact hosts go before wildcards, longer wildcards before shorter ones, and those before apps without a host; among the
//! apps of one host the longest path decides. A host none of whose apps has a matching path is as good as none: the next
//! class is asked. What is put in or taken out costs as much as its own host and path are long, and so does a search: it
//! does not matter how many others there are.

use std::collections::HashMap;

use crate::net::{HostPattern, Location, wildcards_of};

/// What is at each location of one address.
pub(super) struct Sites<P> {
    exact: HashMap<String, Paths<P>>,
    /// By the name behind the `*.`.
    wildcards: HashMap<String, Paths<P>>,
    any: Paths<P>,
}

/// What is at each path of one host: a tree of segments.
struct Paths<P> {
    here: Option<P>,
    below: HashMap<Box<str>, Self>,
}

impl<P> Default for Sites<P> {
    fn default() -> Self {
        Self {
            exact: HashMap::new(),
            wildcards: HashMap::new(),
            any: Paths::default(),
        }
    }
}

impl<P> Default for Paths<P> {
    fn default() -> Self {
        Self {
            here: None,
            below: HashMap::new(),
        }
    }
}

impl<P> Sites<P> {
    pub(super) fn is_empty(&self) -> bool {
        self.exact.is_empty() && self.wildcards.is_empty() && self.any.is_empty()
    }

    /// Whether all that is there is like that.
    pub(super) fn all(&self, mut like: impl FnMut(&P) -> bool) -> bool {
        let mut hosts = self
            .exact
            .values()
            .chain(self.wildcards.values())
            .chain([&self.any]);
        hosts.all(|paths| paths.all(&mut like))
    }

    /// Puts something at a location; gives what was there.
    pub(super) fn put(&mut self, location: &Location, place: P) -> Option<P> {
        let paths = match &location.host {
            Some(HostPattern::Exact(host)) => self.exact.entry(host.clone()).or_default(),
            Some(HostPattern::Wildcard(suffix)) => self.wildcards.entry(suffix.clone()).or_default(),
            None => &mut self.any,
        };
        paths.at(location.path.segments()).replace(place)
    }

    /// What is at exactly this location.
    pub(super) fn get(&self, location: &Location) -> Option<&P> {
        let paths = match &location.host {
            Some(HostPattern::Exact(host)) => self.exact.get(host)?,
            Some(HostPattern::Wildcard(suffix)) => self.wildcards.get(suffix)?,
            None => &self.any,
        };
        paths.get(location.path.segments())
    }

    /// Takes out what is at exactly this location.
    pub(super) fn take(&mut self, location: &Location) -> Option<P> {
        let take = |hosts: &mut HashMap<String, Paths<P>>, host: &String| {
            let paths = hosts.get_mut(host)?;
            let taken = paths.take(&mut location.path.segments());
            if paths.is_empty() {
                hosts.remove(host);
            }
            taken
        };
        match &location.host {
            Some(HostPattern::Exact(host)) => take(&mut self.exact, host),
            Some(HostPattern::Wildcard(suffix)) => take(&mut self.wildcards, suffix),
            None => self.any.take(&mut location.path.segments()),
        }
    }

    /// What answers for a host, which is in lower case and has no port, and a raw path. `None`: the request names no host.
    pub(super) fn find(&self, host: Option<&str>, path: &str) -> Option<&P> {
        let named = host.into_iter().flat_map(|host| {
            let wildcards = wildcards_of(host).filter_map(|suffix| self.wildcards.get(suffix));
            self.exact.get(host).into_iter().chain(wildcards)
        });
        named.chain([&self.any]).find_map(|paths| paths.find(path))
    }
}

impl<P> Paths<P> {
    fn is_empty(&self) -> bool {
        self.here.is_none() && self.below.is_empty()
    }

    fn all(&self, like: &mut impl FnMut(&P) -> bool) -> bool {
        self.here.as_ref().is_none_or(&mut *like) && self.below.values().all(|below| below.all(like))
    }

    fn at<'s>(&mut self, segments: impl Iterator<Item = &'s str>) -> &mut Option<P> {
        let place = segments.fold(self, |paths, segment| {
            paths.below.entry(segment.into()).or_default()
        });
        &mut place.here
    }

    fn get<'s>(&self, mut segments: impl Iterator<Item = &'s str>) -> Option<&P> {
        let place = segments.try_fold(self, |paths, segment| paths.below.get(segment));
        place?.here.as_ref()
    }

    /// Leaves no empty branch behind.
    fn take<'s>(&mut self, segments: &mut impl Iterator<Item = &'s str>) -> Option<P> {
        let Some(segment) = segments.next() else {
            return self.here.take();
        };
        let below = self.below.get_mut(segment)?;
        let taken = below.take(segments);
        if below.is_empty() {
            self.below.remove(segment);
        }
        taken
    }

    /// What is at the longest prefix.
    fn find(&self, path: &str) -> Option<&P> {
        let mut paths = self;
        let mut found = self.here.as_ref();
        for segment in path.split('/').skip(1) {
            let Some(below) = paths.below.get(segment) else {
                break;
            };
            paths = below;
            found = below.here.as_ref().or(found);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::PathPrefix;

    /// `shop.example/cart`, `*.example`, `/cart`, or nothing.
    fn location(text: &str) -> Location {
        let (host, path) = match text.split_once('/') {
            Some((host, path)) => (host, format!("/{path}")),
            None => (text, "/".to_owned()),
        };
        Location {
            host: (!host.is_empty()).then(|| HostPattern::parse(host).unwrap()),
            path: PathPrefix::parse(&path).unwrap(),
        }
    }

    fn sites<'t>(locations: &[&'t str]) -> Sites<&'t str> {
        let mut sites = Sites::default();
        for text in locations {
            assert_eq!(sites.put(&location(text), *text), None);
        }
        sites
    }

    #[test]
    fn an_exact_host_goes_before_the_longest_wildcard_and_that_before_none() {
        let sites = sites(&["a.b.example", "*.b.example", "*.example", ""]);
        for (host, found) in [
            ("a.b.example", "a.b.example"),
            ("x.b.example", "*.b.example"),
            ("x.y.b.example", "*.b.example"),
            ("b.example", "*.example"),
            ("example", ""),
            ("ab.example.org", ""),
            (".example", ""),
            ("", ""),
        ] {
            assert_eq!(sites.find(Some(host), "/x"), Some(&found), "{host}");
        }
        assert_eq!(sites.find(None, "/x"), Some(&""));
    }

    #[test]
    fn the_longest_path_of_whole_segments_decides_among_the_apps_of_a_host() {
        let sites = sites(&["h/shop", "h/shop/cart", "h/shop/cart/old/x", "h"]);
        for (path, found) in [
            ("/shop", "h/shop"),
            ("/shop/", "h/shop"),
            ("/shop/carts", "h/shop"),
            ("/shop/cart", "h/shop/cart"),
            ("/shop/cart/old", "h/shop/cart"),
            ("/shop/cart/old/x/y", "h/shop/cart/old/x"),
            ("/shops", "h"),
            ("//shop", "h"),
            ("/SHOP", "h"),
            ("/", "h"),
            ("*", "h"),
        ] {
            assert_eq!(sites.find(Some("h"), path), Some(&found), "{path}");
        }
    }

    #[test]
    fn a_host_without_a_matching_path_leaves_the_request_to_the_next_class() {
        let sites = sites(&["a.example/x", "*.example/y", "/z"]);
        assert_eq!(sites.find(Some("a.example"), "/x"), Some(&"a.example/x"));
        assert_eq!(sites.find(Some("a.example"), "/y"), Some(&"*.example/y"));
        assert_eq!(sites.find(Some("a.example"), "/z/"), Some(&"/z"));
        assert_eq!(sites.find(Some("a.example"), "/"), None);
        assert_eq!(sites.find(None, "/x"), None);
    }

    #[test]
    fn what_is_taken_out_leaves_nothing_behind_and_the_others_alone() {
        let all = ["h", "h/a/b", "h/a/b/c", "*.h/a", "/a"];
        let mut sites = sites(&all);
        assert_eq!(sites.take(&location("h/a")), None);
        assert_eq!(sites.take(&location("h/a/b")), Some("h/a/b"));
        assert_eq!(sites.find(Some("h"), "/a/b"), Some(&"h"));
        assert_eq!(sites.find(Some("h"), "/a/b/c"), Some(&"h/a/b/c"));
        assert_eq!(sites.put(&location("h"), "new"), Some("h"));
        assert_eq!(sites.get(&location("h")), Some(&"new"));
        assert!(sites.all(|place| !place.is_empty()) && !sites.all(|place| *place != "*.h/a"));
        for text in ["h", "h/a/b/c", "*.h/a", "/a"] {
            assert!(!sites.is_empty());
            assert!(sites.take(&location(text)).is_some(), "{text}");
        }
        assert!(sites.is_empty());
    }

    #[test]
    fn a_host_too_long_to_be_a_name_is_not_searched_for() {
        let sites = sites(&["*.example"]);
        let long = format!("{}example", "a.".repeat(200));
        assert_eq!(sites.find(Some(&long), "/"), None);
    }
}
