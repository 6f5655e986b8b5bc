//! Where at an address an app is: which hosts, and which paths below them.

use std::fmt;

/// Bytes that a host name may have (RFC 1035 §2.3.4), without the trailing dot.
const LONGEST_HOST: usize = 253;
/// Bytes of the longest path prefix: more than anybody writes, and a bound for the routing table.
const LONGEST_PATH: usize = 1024;
/// How a host begins that stands for all names below another.
const WILDCARD: &str = "*.";

/// Where at an address an app is. The default is everywhere.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Site {
    /// Empty: any host.
    pub hosts: Vec<HostPattern>,
    pub path: PathPrefix,
    /// The path's prefix is removed before the app sees the request.
    pub strip_path: bool,
}

/// A host that an app answers for; in lower case, internationalised names in their ASCII form, without port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HostPattern {
    /// A name, or an IP address as it stands in a URL.
    Exact(String),
    /// Each name with one or more labels before this one; not the name itself.
    Wildcard(String),
}

/// Whole segments at the beginning of a path, compared byte for byte with what the client sends: `/a/b`, or empty for every
/// path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct PathPrefix(String);

/// One host and one path: what one app alone may have at an address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Location {
    /// `None`: any host.
    pub host: Option<HostPattern>,
    pub path: PathPrefix,
}

/// Why a text is no host or path of a [`Site`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} {problem}; {remedy}")]
pub struct SiteError {
    text: String,
    problem: &'static str,
    remedy: String,
}

impl SiteError {
    fn new(text: &str, problem: &'static str, remedy: impl Into<String>) -> Self {
        Self {
            text: text.to_owned(),
            problem,
            remedy: remedy.into(),
        }
    }
}

impl Site {
    /// Every host with the path: what the app has at its address.
    pub fn locations(&self) -> impl Iterator<Item = Location> {
        let any = self.hosts.is_empty().then_some(None);
        let hosts = any.into_iter().chain(self.hosts.iter().cloned().map(Some));
        hosts.map(|host| Location {
            host,
            path: self.path.clone(),
        })
    }

    /// What is removed from the front of a request's path; mostly nothing.
    pub fn stripped(&self) -> &str {
        if self.strip_path { self.path.as_str() } else { "" }
    }
}

impl HostPattern {
    /// Reads `shop.example`, `*.shop.example`, `127.0.0.1` or `::1`.
    ///
    /// # Errors
    /// [`SiteError`] says what is wrong and shows a good one.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let wrong = |problem, remedy: &str| Err(SiteError::new(text, problem, remedy));
        let example = "a good one is \"shop.example\" or \"*.shop.example\"";
        if text == "*" {
            return wrong("stands for every host", "leave \"host\" out");
        }
        if let Some((_, rest)) = text.split_once("://") {
            let name = rest.split(['/', ':']).next().unwrap_or_default();
            return wrong("begins with a scheme", &format!("write {name:?}"));
        }
        if let Some((name, path)) = text.split_once('/') {
            return wrong(
                "has a path",
                &format!("write \"host\": {name:?}, \"path\": \"/{path}\""),
            );
        }
        if let Ok(ip) = text.parse::<std::net::Ipv6Addr>() {
            return Ok(Self::Exact(format!("[{ip}]")));
        }
        if let Some((name, _)) = text.rsplit_once(':').filter(|_| !text.ends_with(']')) {
            return wrong(
                "has a port, which is the address's affair",
                &format!("write {name:?}"),
            );
        }
        let (wildcard, name) = match text.strip_prefix(WILDCARD) {
            Some(suffix) => (true, suffix),
            None => (false, text),
        };
        if name.contains('*') {
            return wrong(
                "has a \"*\" that is not its whole first label",
                "write \"*.shop.example\"",
            );
        }
        let name = name.strip_suffix('.').unwrap_or(name);
        match url::Host::parse(name) {
            Ok(url::Host::Domain(name)) if !is_name(&name) => wrong("is no host name", example),
            Ok(url::Host::Domain(name)) if wildcard => Ok(Self::Wildcard(name)),
            Ok(_) if wildcard => wrong("puts a \"*\" before an IP address", example),
            Ok(host) => Ok(Self::Exact(host.to_string())),
            Err(_) => wrong("is no host name", example),
        }
    }
}

/// `url` takes more than names: `a..b`, and labels of any length.
fn is_name(name: &str) -> bool {
    const LONGEST_LABEL: usize = 63;
    let good = |label: &str| !label.is_empty() && label.len() <= LONGEST_LABEL;
    name.len() <= LONGEST_HOST && name.split('.').all(good)
}

impl PathPrefix {
    /// Reads `/shop` or `/shop/cart`; `/` is every path.
    ///
    /// # Errors
    /// [`SiteError`] says what is wrong and shows a good one.
    pub fn parse(text: &str) -> Result<Self, SiteError> {
        let wrong = |problem, remedy: &str| Err(SiteError::new(text, problem, remedy));
        if text == "/" {
            return Ok(Self::default());
        }
        let Some(segments) = text.strip_prefix('/') else {
            let whole = format!("write \"/{}\"", text.trim_end_matches(['*', '/', '.']));
            return wrong("does not begin with \"/\"", &whole);
        };
        if text.len() > LONGEST_PATH {
            return wrong("is longer than 1024 bytes", "shorten it");
        }
        let short = text.trim_end_matches(['*', '/', '.']);
        let short = format!("write {:?}", if short.is_empty() { "/" } else { short });
        if text.contains('*') || text.ends_with("/...") {
            return wrong(
                "has a wildcard, though a prefix holds for all that is below it",
                &short,
            );
        }
        if text.contains(['?', '#']) {
            return wrong(
                "has a \"?\" or \"#\", and only paths are compared",
                "write the path alone",
            );
        }
        if text.ends_with('/') {
            return wrong("ends with \"/\"", &short);
        }
        let is_dots = |segment: &str| segment == "." || segment == "..";
        if segments
            .split('/')
            .any(|segment| segment.is_empty() || is_dots(segment))
        {
            return wrong(
                "has an empty segment, or one of dots, which clients do not send",
                "leave it out",
            );
        }
        match misencoded(segments) {
            Some(problem) => wrong(problem, "write it percent-encoded, as clients send it"),
            None => Ok(Self(text.to_owned())),
        }
    }

    /// `""` for every path, or with a slash at its front and none at its end.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// From the left.
    pub fn segments(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }
}

/// What stands in a path and is sent in another form (RFC 3986 §3.3), or might be read in two ways.
fn misencoded(path: &str) -> Option<&'static str> {
    let sent_as_is = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~!$&'()+,;=:@".contains(&byte);
    let is_hex = |digit: Option<&u8>| digit.is_some_and(u8::is_ascii_hexdigit);
    let bytes = path.as_bytes();
    for (at, byte) in bytes.iter().enumerate() {
        match (byte, bytes.get(at + 1), bytes.get(at + 2)) {
            (b'%', Some(b'2'), Some(b'f' | b'F')) => {
                return Some("has an encoded slash, which some take for one and some do not");
            }
            (b'%', high, low) if is_hex(high) && is_hex(low) => {}
            (b'%', ..) => return Some("has a \"%\" without two hexadecimal digits"),
            (byte, ..) if !sent_as_is(*byte) => return Some("has a character that no path has as it is"),
            _ => {}
        }
    }
    None
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name),
            Self::Wildcard(suffix) => write!(f, "{WILDCARD}{suffix}"),
        }
    }
}

impl fmt::Display for PathPrefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// `shop.example/cart`, `shop.example`, `/cart`; empty for everything.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(host) = &self.host {
            host.fmt(f)?;
        }
        self.path.fmt(f)
    }
}

/// The names behind the `*.` of every wildcard that a host belongs to, the longest first. What is too long for a name belongs
/// to none, and would cost a search for each of its dots.
pub fn wildcards_of(host: &str) -> impl Iterator<Item = &str> {
    let host = Some(host)
        .filter(|host| host.len() <= LONGEST_HOST)
        .unwrap_or_default();
    let dots = host.match_indices('.').filter(|(dot, _)| *dot != 0);
    dots.map(|(dot, _)| &host[dot + 1..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> String {
        HostPattern::parse(text).unwrap().to_string()
    }

    fn no_host(text: &str) -> String {
        HostPattern::parse(text).unwrap_err().to_string()
    }

    fn no_path(text: &str) -> String {
        PathPrefix::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn hosts_are_kept_as_clients_send_them() {
        assert_eq!(host("Shop.Example"), "shop.example");
        assert_eq!(host("shop.example."), "shop.example");
        assert_eq!(host("*.Shop.example"), "*.shop.example");
        assert_eq!(host("bücher.example"), "xn--bcher-kva.example");
        assert_eq!(host("127.0.0.1"), "127.0.0.1");
        assert_eq!(host("0::1"), "[::1]");
        assert_eq!(host("[0::1]"), "[::1]");
        assert_eq!(host("my_host"), "my_host");
    }

    #[test]
    fn a_bad_host_is_answered_with_a_good_one() {
        let cases = [
            ("*", "leave \"host\" out"),
            ("https://shop.example/x", "write \"shop.example\""),
            ("shop.example/x", "\"path\": \"/x\""),
            ("shop.example:80", "write \"shop.example\""),
            ("[::1]:80", "write \"[::1]\""),
            ("shop.*", "write \"*.shop.example\""),
            ("a*.example", "write \"*.shop.example\""),
            ("*.1.2.3.4", "before an IP address"),
            ("", "is no host name"),
            ("a..b", "is no host name"),
            ("a b", "is no host name"),
        ];
        for (text, remedy) in cases {
            let message = no_host(text);
            assert!(message.contains(remedy), "{message} should say {remedy}");
        }
        no_host(&"a.".repeat(200));
    }

    #[test]
    fn a_path_is_whole_segments_as_clients_send_them() {
        for text in ["/shop", "/shop/cart", "/a%20b/~x", "/a;b=c", "/.well-known"] {
            assert_eq!(PathPrefix::parse(text).unwrap().as_str(), text);
        }
        assert_eq!(PathPrefix::parse("/").unwrap(), PathPrefix::default());
        assert_eq!(PathPrefix::default().segments().count(), 0);
        let segments = PathPrefix::parse("/a/b").unwrap();
        assert_eq!(segments.segments().collect::<Vec<_>>(), ["a", "b"]);
    }

    #[test]
    fn a_bad_path_is_answered_with_a_good_one() {
        let cases = [
            ("shop", "write \"/shop\""),
            ("", "does not begin with"),
            ("/shop/", "write \"/shop\""),
            ("/shop/...", "write \"/shop\""),
            ("/shop/*", "write \"/shop\""),
            ("/*", "write \"/\""),
            ("/a//b", "empty segment"),
            ("/a/../b", "dots"),
            ("/a?b", "path alone"),
            ("/a%2Fb", "encoded slash"),
            ("/a%2fb", "encoded slash"),
            ("/a%zz", "two hexadecimal digits"),
            ("/a%2", "two hexadecimal digits"),
            ("/a b", "percent-encoded"),
            ("/é", "percent-encoded"),
        ];
        for (text, remedy) in cases {
            let message = no_path(text);
            assert!(message.contains(remedy), "{message} should say {remedy}");
        }
    }

    #[test]
    fn a_site_is_every_host_with_the_path() {
        let told = |site: &Site| site.locations().map(|l| l.to_string()).collect::<Vec<_>>();
        assert_eq!(told(&Site::default()), [""]);
        let mut site = Site {
            hosts: vec![
                HostPattern::parse("a").unwrap(),
                HostPattern::parse("*.a").unwrap(),
            ],
            path: PathPrefix::parse("/x").unwrap(),
            strip_path: false,
        };
        assert_eq!(
            (told(&site), site.stripped()),
            (vec!["a/x".into(), "*.a/x".into()], "")
        );
        site.strip_path = true;
        assert_eq!(site.stripped(), "/x");
    }
}
