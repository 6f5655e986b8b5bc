//! `allowed_outbound_hosts`: what a component may reach (`docs/contract/host-interfaces.md §4`).

use std::net::IpAddr;

use url::{Host, Url};

use super::pattern::{HostPattern, Pattern, PatternError, PortPattern, default_port};

/// The list that Spin 1 took for everything, and that is an error since.
const LEGACY_ALLOW_ALL: &str = "insecure:allow-all";
/// What a template may leave of an entry that is meant to allow nothing.
const EMPTY_ENTRIES: [&str; 3] = ["", "http://", "https://"];

/// The hosts that one instance may reach. An empty list allows nothing.
#[derive(Debug, Clone, Default)]
pub struct AllowedHosts {
    patterns: Vec<Pattern>,
}

/// Somewhere that a guest wants to reach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    scheme: String,
    host: Host<String>,
    port: Option<u16>,
}

impl AllowedHosts {
    /// `entries` without templates. `components` are the app's ids, which `*.spin.internal` stands for.
    pub fn parse<'e>(
        entries: impl IntoIterator<Item = &'e str>,
        components: &[String],
    ) -> Result<Self, PatternError> {
        let mut patterns = Vec::new();
        for entry in entries {
            let entry = entry.trim();
            if entry == LEGACY_ALLOW_ALL {
                return Err(PatternError::new(entry, "write `*://*:*` to allow everything"));
            }
            if !EMPTY_ENTRIES.contains(&entry) {
                patterns.extend(Pattern::parse(entry)?.expand(components));
            }
        }
        Ok(Self { patterns })
    }

    /// Whether an entry matches scheme, host and port. Names are never resolved for it.
    pub fn allows(&self, destination: &Destination) -> bool {
        self.patterns.iter().any(|pattern| pattern.matches(destination))
    }

    /// Whether an entry for `tcp` or `udp` is for hosts of this name, and not for any host.
    pub fn names_socket_host(&self, name: &str) -> bool {
        let Ok(host @ Host::Domain(_)) = Host::parse(name) else {
            return false;
        };
        self.patterns.iter().any(|pattern| {
            matches!(pattern.scheme.as_deref(), Some("tcp" | "udp"))
                && matches!(pattern.host, HostPattern::Name(_) | HostPattern::Below(_))
                && pattern.host.matches(&host)
        })
    }

    /// Whether the app may send requests to itself.
    pub fn allows_self(&self) -> bool {
        self.patterns.iter().any(|pattern| {
            matches!(pattern.scheme.as_deref(), None | Some("http" | "https"))
                && matches!(pattern.host, HostPattern::Itself | HostPattern::Any)
        })
    }
}

impl Destination {
    /// `None` for what can't be understood, which is therefore not allowed.
    pub fn parse(text: &str, default_scheme: &str) -> Option<Self> {
        let parse = |text: &str| {
            let url = Url::parse(text).ok()?;
            let host = url.host()?.to_owned();
            // A scheme that the crate does not know leaves the host as it was written.
            let host = match host {
                Host::Domain(name) => Host::parse(&name).unwrap_or(Host::Domain(name.to_ascii_lowercase())),
                address => address,
            };
            let port = url.port_or_known_default().or_else(|| default_port(url.scheme()));
            Some(Self {
                scheme: url.scheme().into(),
                host,
                port,
            })
        };
        if text.contains("://") {
            parse(text)
        } else {
            parse(&format!("{default_scheme}://{text}"))
        }
    }

    /// The line that would allow it.
    pub fn entry(&self) -> String {
        let port = match self.port {
            Some(port) if default_port(&self.scheme) != Some(port) => format!(":{port}"),
            _ => String::new(),
        };
        format!("{}://{}{port}", self.scheme, self.host)
    }
}

impl Pattern {
    fn matches(&self, destination: &Destination) -> bool {
        self.scheme
            .as_ref()
            .is_none_or(|scheme| *scheme == destination.scheme)
            && self.host.matches(&destination.host)
            && match (&self.port, destination.port) {
                (PortPattern::Any, Some(_)) => true,
                (PortPattern::Ports(ports), Some(port)) => ports.contains(&u32::from(port)),
                (_, None) => false,
            }
    }

    fn expand(self, components: &[String]) -> Vec<Self> {
        match self.host {
            HostPattern::AnyComponent => components
                .iter()
                .map(|id| Self {
                    host: HostPattern::Name(format!("{id}.spin.internal")),
                    ..self.clone()
                })
                .collect(),
            _ => vec![self],
        }
    }
}

impl HostPattern {
    fn matches(&self, host: &Host<String>) -> bool {
        let ip: Option<IpAddr> = match host {
            Host::Domain(_) => None,
            Host::Ipv4(ip) => Some((*ip).into()),
            Host::Ipv6(ip) => Some((*ip).into()),
        };
        match (self, host) {
            (Self::Any, _) => true,
            (Self::Name(own), Host::Domain(name)) => own.eq_ignore_ascii_case(name),
            (Self::Below(domain), Host::Domain(name)) => {
                let below = name.len().checked_sub(domain.len() + 1);
                below.is_some_and(|at| {
                    at > 0
                        && name.is_char_boundary(at)
                        && name[at..].eq_ignore_ascii_case(&format!(".{domain}"))
                })
            }
            (Self::Network(network), _) => ip.is_some_and(|ip| network.contains(&ip)),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allows(entry: &str, target: &str) -> bool {
        let hosts = AllowedHosts::parse([entry], &["back".into()]).unwrap();
        Destination::parse(target, "https").is_some_and(|destination| hosts.allows(&destination))
    }

    #[test]
    fn scheme_host_and_port_must_all_match() {
        assert!(allows("https://api.example.com", "https://api.example.com/x"));
        assert!(allows("https://api.example.com", "https://API.example.com:443"));
        assert!(!allows("https://api.example.com", "http://api.example.com"));
        assert!(!allows("https://api.example.com", "https://api.example.com:8443"));
        assert!(!allows("https://api.example.com", "https://example.com"));
    }

    #[test]
    fn stars_match_anything_in_their_place() {
        assert!(allows("*://*:*", "redis://cache:1"));
        assert!(allows("http://*:*", "http://10.0.0.1:8080"));
        assert!(allows("http://*.example.com", "http://a.b.example.com"));
        assert!(!allows("http://*.example.com", "http://example.com"));
        assert!(!allows("http://*.example.com", "http://badexample.com"));
    }

    #[test]
    fn a_port_range_leaves_its_end_out() {
        assert!(allows("https://localhost:8000..9000", "https://localhost:8000"));
        assert!(allows("https://localhost:8000..9000", "https://localhost:8999"));
        assert!(!allows("https://localhost:8000..9000", "https://localhost:9000"));
    }

    #[test]
    fn a_network_matches_addresses_and_no_names() {
        assert!(allows("http://127.0.0.0/8:8080", "http://127.1.2.3:8080"));
        assert!(!allows("http://127.0.0.0/8:8080", "http://localhost:8080"));
        assert!(allows("http://127.0.0.1/8:80", "http://127.9.9.9"));
        assert!(allows("http://[::1]:80", "http://[::1]"));
        assert!(allows("http://[fd00::]/8:80", "http://[fd12::1]"));
    }

    #[test]
    fn a_target_without_a_port_has_that_of_its_scheme() {
        assert!(allows("redis://cache", "redis://cache:6379"));
        assert!(allows("redis://cache:6379", "redis://cache"));
        assert!(!allows("*://cache:*", "rediss://cache"));
        assert!(allows("https://h", "h/path"));
    }

    #[test]
    fn every_component_of_the_app_and_no_other() {
        assert!(allows("http://*.spin.internal", "http://back.spin.internal"));
        assert!(!allows("http://*.spin.internal", "http://other.spin.internal"));
        assert!(allows("http://back.spin.internal", "http://back.spin.internal/x"));
    }

    #[test]
    fn only_the_app_itself_is_itself() {
        for (entry, expected) in [
            ("http://self", true),
            ("https://self.alt", true),
            ("*://*:*", true),
            ("http://*:*", true),
            ("redis://*:*", false),
            ("http://other", false),
        ] {
            assert_eq!(
                AllowedHosts::parse([entry], &[]).unwrap().allows_self(),
                expected,
                "{entry}"
            );
        }
        assert!(!allows("http://self", "http://self"));
    }

    #[test]
    fn empty_entries_allow_nothing() {
        assert!(
            !AllowedHosts::parse(["", "http://", "https://"], &[])
                .unwrap()
                .allows_self()
        );
    }

    #[test]
    fn the_line_to_add_names_what_was_wanted() {
        let entry = |target| Destination::parse(target, "https").unwrap().entry();
        assert_eq!(entry("https://api.example.com/x"), "https://api.example.com");
        assert_eq!(entry("http://[::1]:8080"), "http://[::1]:8080");
    }

    #[test]
    fn what_is_no_address_is_not_allowed() {
        assert!(!allows("*://*:*", ""));
        assert!(!allows("*://*:*", "http://a b"));
    }

    #[test]
    fn mistakes_are_told() {
        for entry in [
            "insecure:allow-all",
            "example.com",
            "http://a/b",
            "http://{a,b}",
            "tcp://h",
            "http://a*b",
            "http://h:x",
        ] {
            assert!(AllowedHosts::parse([entry], &[]).is_err(), "{entry}");
        }
    }
}
