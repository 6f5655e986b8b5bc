//! Which references an option of the policy is about.

use std::fmt;
use std::str::FromStr;

use super::super::reference::{Reference, Source};

/// The words for what is on this machine's disk.
const LAYOUTS: &str = "oci:";
const ARCHIVES: &str = "oci-archive:";
const ANY_HOST: &str = "*";
const BELOW: &str = "*.";
/// The names that people write for Docker's hub, and the one that it answers at.
const HUB: &str = "docker.io";
const HUB_HOST: &str = "index.docker.io";

/// A registry, a part of one, or all layouts of a kind. Displays as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    kind: Kind,
    written: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Layouts,
    Archives,
    Registry {
        host: Host,
        /// The repository, or whole segments that it begins with; empty: any.
        prefix: String,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Host {
    Any,
    /// In lower case, with the port if references have one.
    Exactly(String),
    /// Any name that ends so; it begins with a dot.
    Below(String),
}

/// Why a text is not a [`Pattern`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} {problem}; patterns are \"ghcr.io\", \"ghcr.io/owner\", \"*.example.com\", \"*\", \"oci:\" and \"oci-archive:\""
)]
pub struct PatternError {
    text: String,
    problem: &'static str,
}

impl Pattern {
    /// Whether the reference is one of those that are meant.
    pub fn matches(&self, source: &Source) -> bool {
        match (&self.kind, source) {
            (Kind::Registry { .. }, Source::Registry(reference)) => self.matches_repository(reference),
            (Kind::Layouts, Source::Layout { .. }) | (Kind::Archives, Source::Archive { .. }) => true,
            _ => false,
        }
    }

    /// The same for a repository's name.
    pub(super) fn matches_repository(&self, reference: &Reference) -> bool {
        let Kind::Registry { host, prefix } = &self.kind else {
            return false;
        };
        let rest = reference.repository().strip_prefix(prefix.as_str());
        let within = rest.is_some_and(|rest| prefix.is_empty() || rest.is_empty() || rest.starts_with('/'));
        within && host.matches(&reference.host().to_ascii_lowercase())
    }

    /// Whether it means what is on this machine's disk.
    pub fn is_local(&self) -> bool {
        matches!(self.kind, Kind::Layouts | Kind::Archives)
    }
}

impl Host {
    fn matches(&self, host: &str) -> bool {
        match self {
            Host::Any => true,
            Host::Exactly(name) => name == host,
            Host::Below(end) => host.len() > end.len() && host.ends_with(end.as_str()),
        }
    }
}

impl FromStr for Pattern {
    type Err = PatternError;

    fn from_str(text: &str) -> Result<Pattern, PatternError> {
        let wrong = |problem| PatternError {
            text: text.to_owned(),
            problem,
        };
        let kind = match text {
            LAYOUTS => Kind::Layouts,
            ARCHIVES => Kind::Archives,
            _ if text.starts_with(LAYOUTS) || text.starts_with(ARCHIVES) => {
                return Err(wrong("names a path: the word before it stands alone"));
            }
            _ => registry(text).map_err(wrong)?,
        };
        Ok(Pattern {
            kind,
            written: text.to_owned(),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

fn registry(text: &str) -> Result<Kind, &'static str> {
    if text.contains("://") {
        return Err("has a scheme, which does not belong there");
    }
    let (host, prefix) = text.split_once('/').unwrap_or((text, ""));
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
    if prefix.contains([':', '@']) {
        return Err("has a tag or a digest, which no pattern has");
    }
    if !prefix.is_empty() && prefix.split('/').any(|segment| !is_segment(segment)) {
        return Err("has a path that is not one of repositories, in lower case");
    }
    let host = host.to_ascii_lowercase();
    let host = match host.strip_prefix(BELOW) {
        _ if host == ANY_HOST => Host::Any,
        Some(end) if is_host(end) => Host::Below(format!(".{end}")),
        None if host == HUB => Host::Exactly(HUB_HOST.to_owned()),
        // A reference without a dot or a port in its first part is one of Docker's hub.
        None if is_host(&host) && (host.contains(['.', ':']) || host == "localhost") => Host::Exactly(host),
        _ => return Err("does not begin with a registry's host"),
    };
    Ok(Kind::Registry {
        host,
        prefix: prefix.to_owned(),
    })
}

fn is_segment(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"._-".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// A name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let is_port = |port: &str| port.parse::<u16>().is_ok();
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, port)) = rest.split_once(']') else {
            return false;
        };
        let port_is_good = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
        return address.parse::<std::net::Ipv6Addr>().is_ok() && port_is_good;
    }
    let (name, port) = match text.split_once(':') {
        Some((name, port)) => (name, Some(port)),
        None => (text, None),
    };
    let is_label = |label: &str| {
        !label.is_empty()
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(is_label) && port.is_none_or(is_port)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn matches(pattern: &str, source: &str) -> bool {
        let source = Source::parse(source, Path::new("/")).unwrap();
        pattern.parse::<Pattern>().unwrap().matches(&source)
    }

    #[test]
    fn a_host_means_itself_with_its_port_and_a_prefix_whole_segments() {
        for (pattern, source, expected) in [
            ("ghcr.io", "ghcr.io/acme/app:v1", true),
            ("GHCR.io", "ghcr.io/acme/app:v1", true),
            ("ghcr.io", "ghcr.io.evil.example/acme/app:v1", false),
            ("ghcr.io", "ghcr.io:5000/acme/app", false),
            ("ghcr.io/acme", "ghcr.io/acme/app:v1", true),
            ("ghcr.io/acme/", "ghcr.io/acme/deep/app:v1", true),
            ("ghcr.io/acme", "ghcr.io/acme:v1", true),
            ("ghcr.io/acme", "ghcr.io/acme-not/app:v1", false),
            ("ghcr.io/acme", "ghcr.io/other/acme/app", false),
            ("*.example.com", "a.b.example.com/app", true),
            ("*.example.com", "example.com/app", false),
            ("*.example.com", "a.badexample.com/app", false),
            ("*.example.com:5000/team", "r.example.com:5000/team/app", true),
            ("*.example.com", "r.example.com:5000/app", false),
            ("localhost:5000", "localhost:5000/app", true),
            ("[::1]:5000", "[::1]:5000/app", true),
            ("docker.io", "nginx", true),
            ("docker.io/acme", "acme/app", true),
            ("index.docker.io/acme", "docker.io/acme/app", true),
            ("*", "r.example.com/app", true),
            ("*", "oci:/srv/app", false),
            ("oci:", "oci:/srv/app:v1", true),
            ("oci:", "oci-archive:/srv/app.tar", false),
            ("oci-archive:", "oci-archive:/srv/app.tar", true),
            ("oci:", "ghcr.io/acme/app", false),
        ] {
            assert_eq!(matches(pattern, source), expected, "{pattern} and {source}");
        }
    }

    #[test]
    fn what_is_no_pattern_says_why() {
        for (text, word) in [
            ("", "a registry's host"),
            ("acme", "a registry's host"),
            ("acme/app", "a registry's host"),
            ("gh*.io", "a registry's host"),
            ("*.", "a registry's host"),
            ("*.*.example.com", "a registry's host"),
            (".", "a registry's host"),
            ("ghcr.io:v1", "a registry's host"),
            ("ghcr.io /a", "a registry's host"),
            ("https://ghcr.io", "scheme"),
            ("ghcr.io/acme/app:v1", "a tag"),
            ("ghcr.io/acme/*", "path"),
            ("ghcr.io//acme", "path"),
            ("oci:/srv/apps", "stands alone"),
            ("oci-archive:x", "stands alone"),
        ] {
            let error = text.parse::<Pattern>().unwrap_err().to_string();
            assert!(error.contains(word), "{text}: {error}");
        }
    }
}
