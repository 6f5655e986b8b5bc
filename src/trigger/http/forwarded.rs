//! What proxies say of the clients behind them: `Forwarded` (RFC 7239) and the `X-Forwarded-*` that were there before it
//! (`docs/contract/http-trigger.md §3`).
//!
//! Each proxy adds whom it speaks for at the end of the list. So the list is read from its end: while the one spoken for is a
//! trusted proxy itself, the entry before is believed too. What the first client that is none has written stands further to
//! the front, and nobody looks at it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use http::uri::{Authority, Scheme};
use http::{HeaderMap, HeaderName, header};

use crate::net::PeerNetwork;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
/// What all of these begin with, and those that tell of less.
const PREFIX: &str = "x-forwarded-";
const REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");
/// Of a client whose proxy does not say it.
const UNKNOWN_PORT: u16 = 0;

/// What trusted proxies say of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    /// Who has asked; `None` where the proxy keeps it to itself. Without a port that is known, it is 0.
    pub(super) client: Option<SocketAddr>,
    /// How and under which name the client has reached the first of the proxies.
    pub(super) scheme: Option<Scheme>,
    pub(super) host: Option<Authority>,
}

/// Why headers of a trusted peer can't be believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unbelievable {
    /// A proxy that writes one of the two passes on what its client has written into the other, and nobody can tell which is
    /// which.
    #[error(
        "`Forwarded` and `X-Forwarded-For` name different clients: a proxy has to remove the one that it does not write"
    )]
    Disagreement,
    /// Of a client's making: what the proxy has added would be within the quotes.
    #[error("`Forwarded` has a quote that does not end")]
    Unquoted,
    /// Of a client's making: what the proxy has added could not be read either.
    #[error("`Forwarded` or `X-Forwarded-For` is no text")]
    NoText,
}

/// What is believed of the headers of a request from `peer`. Headers of a peer that is not trusted are removed, and from
/// everybody those that only look like them: whoever finds one later may believe it.
pub(super) fn read(
    headers: &mut HeaderMap,
    peer: Option<SocketAddr>,
    trusted: &[PeerNetwork],
) -> Result<Option<Told>, Unbelievable> {
    let is_trusted = |peer| trusted.iter().any(|network| network.contains(peer));
    if !is_trusted(ip(peer)) {
        remove(headers, |name| is_of_proxies(name) || is_look_alike(name));
        return Ok(None);
    }
    remove(headers, is_look_alike);
    let is_text = |name: &HeaderName| headers.get_all(name).iter().all(|value| value.to_str().is_ok());
    if ![header::FORWARDED, FORWARDED_FOR].iter().all(is_text) {
        return Err(Unbelievable::NoText);
    }
    let mut standard = headers.get_all(header::FORWARDED).iter();
    if standard.any(|value| ends_within_quotes(value.as_bytes())) {
        return Err(Unbelievable::Unquoted);
    }
    let standard = last_believed(entries_of_forwarded(headers), is_trusted);
    let older = last_believed(entries_of_x_forwarded(headers), is_trusted);
    match (standard, older) {
        (Some(standard), Some(older)) if ip(standard.client) != ip(older.client) => {
            Err(Unbelievable::Disagreement)
        }
        (Some(standard), Some(older)) => Ok(Some(Told {
            client: standard.client,
            scheme: standard.scheme.or(older.scheme),
            host: standard.host.or(older.host),
        })),
        (None, None) => Ok(of_peer(headers, peer)),
        (standard, older) => Ok(standard.or(older)),
    }
}

fn ip(client: Option<SocketAddr>) -> Option<IpAddr> {
    client.map(|client| client.ip())
}

fn remove(headers: &mut HeaderMap, unwanted: impl Fn(&str) -> bool) {
    let unwanted: Vec<_> = headers
        .keys()
        .filter(|name| unwanted(name.as_str()))
        .cloned()
        .collect();
    for name in unwanted {
        headers.remove(name);
    }
}

fn is_of_proxies(name: &str) -> bool {
    name == header::FORWARDED || name == REAL_IP || name.starts_with(PREFIX)
}

/// `x_forwarded_for`: in variables of CGI, WSGI and their like it is the same as with `-`, and no proxy writes it so.
fn is_look_alike(name: &str) -> bool {
    name.contains('_') && is_of_proxies(&name.replace('_', "-"))
}

/// The last entry whose client is no trusted proxy; when all are, the first.
fn last_believed(entries: Vec<Told>, is_trusted: impl Fn(Option<IpAddr>) -> bool) -> Option<Told> {
    let mut entries = entries.into_iter().rev().peekable();
    loop {
        let entry = entries.next()?;
        let goes_on = ip(entry.client).is_some_and(|ip| is_trusted(Some(ip)));
        if !goes_on || entries.peek().is_none() {
            return Some(entry);
        }
    }
}

/// All values of a header, as one list. What is no text is no list.
fn list<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Vec<&'h str> {
    let values = headers.get_all(name).iter();
    values
        .flat_map(|value| split(value.to_str().unwrap_or_default(), ','))
        .map(str::trim)
        .filter(|element| !element.is_empty())
        .collect()
}

/// Where a reader of quoted strings is (RFC 9110 §5.6.4).
#[derive(Default)]
struct Quotes {
    is_within: bool,
    is_escaped: bool,
}

impl Quotes {
    fn read(&mut self, character: u8) {
        let is_escaped = std::mem::take(&mut self.is_escaped);
        match character {
            b'"' if !is_escaped => self.is_within = !self.is_within,
            b'\\' if self.is_within && !is_escaped => self.is_escaped = true,
            _ => {}
        }
    }
}

fn ends_within_quotes(text: &[u8]) -> bool {
    let mut quotes = Quotes::default();
    text.iter().for_each(|byte| quotes.read(*byte));
    quotes.is_within
}

/// Splits where the separator, which is ASCII, is not within quotes.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let mut quotes = Quotes::default();
    text.split(move |character: char| {
        // What is not ASCII is neither.
        quotes.read(u8::try_from(character).unwrap_or_default());
        character == separator && !quotes.is_within
    })
}

fn entries_of_forwarded(headers: &HeaderMap) -> Vec<Told> {
    let elements = list(headers, &header::FORWARDED).into_iter();
    elements
        .map(|element| {
            let mut entry = Told {
                client: None,
                scheme: None,
                host: None,
            };
            for (name, value) in split(element, ';').filter_map(|pair| pair.split_once('=')) {
                let value = unquoted(value.trim());
                match name.trim().to_ascii_lowercase().as_str() {
                    "for" => entry.client = node(&value),
                    "proto" => entry.scheme = scheme(&value),
                    "host" => entry.host = host(&value),
                    _ => {}
                }
            }
            entry
        })
        .collect()
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')) else {
        return value.to_owned();
    };
    let mut escaped = false;
    inner
        .chars()
        .filter(|character| {
            escaped = *character == '\\' && !escaped;
            !escaped
        })
        .collect()
}

/// The other headers have one value for the whole way, or one for each entry of `X-Forwarded-For`; else the last one is what
/// the peer itself has written.
fn entries_of_x_forwarded(headers: &HeaderMap) -> Vec<Told> {
    let clients = list(headers, &FORWARDED_FOR);
    let [schemes, hosts, ports] =
        [FORWARDED_PROTO, FORWARDED_HOST, FORWARDED_PORT].map(|name| list(headers, &name));
    let of = |values: &[&str], entry: usize| {
        let own = (values.len() == clients.len())
            .then(|| values.get(entry))
            .flatten();
        own.or(values.last()).map(|value| (*value).to_owned())
    };
    let entries = clients.iter().enumerate();
    entries
        .map(|(entry, client)| {
            let scheme = of(&schemes, entry).and_then(|text| scheme(&text));
            let port = of(&ports, entry).and_then(|text| text.parse::<u16>().ok());
            let named = of(&hosts, entry).and_then(|text| host(&text));
            Told {
                client: node(client),
                host: named.map(|host| with_port(host, port, scheme.as_ref())),
                scheme,
            }
        })
        .collect()
}

/// What the peer says of itself: the other headers without `X-Forwarded-For`.
fn of_peer(headers: &HeaderMap, peer: Option<SocketAddr>) -> Option<Told> {
    let last = |name| list(headers, &name).pop();
    let (schemes, hosts) = (last(FORWARDED_PROTO), last(FORWARDED_HOST));
    if schemes.is_none() && hosts.is_none() {
        return None;
    }
    let scheme = schemes.and_then(scheme);
    let port = last(FORWARDED_PORT).and_then(|text| text.parse().ok());
    Some(Told {
        client: peer,
        host: hosts
            .and_then(host)
            .map(|host| with_port(host, port, scheme.as_ref())),
        scheme,
    })
}

/// `192.0.2.1`, `192.0.2.1:80`, `[2001:db8::1]`, `[2001:db8::1]:80`; also `2001:db8::1`. Anything else keeps the client a
/// secret: `unknown`, `_name`, and ports that are names.
fn node(text: &str) -> Option<SocketAddr> {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Some(SocketAddr::new(address.ip().to_canonical(), address.port()));
    }
    let bracketed = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let ip = match bracketed {
        Some(text) => text.parse::<Ipv6Addr>().ok()?.into(),
        None => text.parse::<IpAddr>().ok()?,
    };
    Some(SocketAddr::new(ip.to_canonical(), UNKNOWN_PORT))
}

fn scheme(text: &str) -> Option<Scheme> {
    match text.to_ascii_lowercase().as_str() {
        "http" => Some(Scheme::HTTP),
        "https" => Some(Scheme::HTTPS),
        _ => None,
    }
}

fn host(text: &str) -> Option<Authority> {
    let host = Authority::try_from(text).ok()?;
    (!host.as_str().contains('@')).then_some(host)
}

/// A port that goes without saying stays out.
fn with_port(host: Authority, port: Option<u16>, scheme: Option<&Scheme>) -> Authority {
    let default = match scheme {
        Some(scheme) if *scheme == Scheme::HTTPS => 443,
        _ => 80,
    };
    match port {
        Some(port) if port != default && host.port().is_none() => {
            Authority::try_from(format!("{host}:{port}")).unwrap_or(host)
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: &str = "10.0.0.1:1";

    fn headers(sent: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    /// What a peer in 10.0.0.0/8 is believed: the client, the scheme and the host, or `-`.
    fn told(sent: &[(&'static str, &str)]) -> String {
        let trusted = ["10.0.0.0/8".parse().unwrap()];
        match read(&mut headers(sent), Some(PEER.parse().unwrap()), &trusted) {
            Ok(Some(told)) => {
                let client = told.client.map_or("-".into(), |client| client.to_string());
                let scheme = told.scheme.map_or("-".into(), |scheme| scheme.to_string());
                let host = told.host.map_or("-".into(), |host| host.to_string());
                format!("{client} {scheme} {host}")
            }
            Ok(None) => "nothing".into(),
            Err(Unbelievable::Disagreement) => "disagreement".into(),
            Err(Unbelievable::Unquoted) => "unquoted".into(),
            Err(Unbelievable::NoText) => "no text".into(),
        }
    }

    #[test]
    fn the_list_is_read_from_its_end_past_trusted_proxies() {
        for (list, expected) in [
            ("203.0.113.7", "203.0.113.7:0 - -"),
            ("203.0.113.7:4711", "203.0.113.7:4711 - -"),
            ("1.1.1.1, 203.0.113.7", "203.0.113.7:0 - -"),
            ("1.1.1.1, 203.0.113.7, 10.0.0.3,10.0.0.2", "203.0.113.7:0 - -"),
            ("10.0.0.3, 10.0.0.2", "10.0.0.3:0 - -"),
            ("2001:db8::1, ::ffff:10.0.0.2", "[2001:db8::1]:0 - -"),
            ("1.1.1.1, unknown", "- - -"),
            ("1.1.1.1, nonsense, 10.0.0.2", "- - -"),
            (" , ", "nothing"),
        ] {
            assert_eq!(told(&[("x-forwarded-for", list)]), expected, "{list}");
        }
        let twice = [
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-for", "10.0.0.2"),
        ];
        assert_eq!(told(&twice), "203.0.113.7:0 - -");
    }

    #[test]
    fn the_standard_header_has_names_quotes_and_secrets() {
        for (value, expected) in [
            (
                "for=203.0.113.7;proto=https;host=shop.example",
                "203.0.113.7:0 https shop.example",
            ),
            ("For=\"[2001:db8::1]:4711\";by=10.0.0.1", "[2001:db8::1]:4711 - -"),
            ("for=\"[2001:db8::1]\"", "[2001:db8::1]:0 - -"),
            (
                "for=1.1.1.1;host=lie, for=203.0.113.7 ; host=\"shop.example:81\", for=10.0.0.2;host=inner",
                "203.0.113.7:0 - shop.example:81",
            ),
            ("for=\"a, b;host=c\\\", d\", for=203.0.113.7", "203.0.113.7:0 - -"),
            ("for=1.1.1.1;x=\", for=203.0.113.7", "unquoted"),
            ("for=1.1.1.1;x=\"\\\", for=\"[2001:db8::1]:1\"", "unquoted"),
            ("for=unknown;proto=https", "- https -"),
            ("for=_gazonk", "- - -"),
            ("for=\"203.0.113.7:_port\"", "- - -"),
            ("proto=gopher;host=a@b;for=203.0.113.7", "203.0.113.7:0 - -"),
        ] {
            assert_eq!(told(&[("forwarded", value)]), expected, "{value}");
        }
    }

    #[test]
    fn scheme_host_and_port_belong_to_the_entry_or_to_the_whole_way() {
        for (sent, expected) in [
            (
                ["203.0.113.7", "https", "shop.example", "443"],
                "203.0.113.7:0 https shop.example",
            ),
            (
                ["203.0.113.7", "https", "shop.example", "8443"],
                "203.0.113.7:0 https shop.example:8443",
            ),
            (
                ["203.0.113.7", "http", "shop.example:81", "80"],
                "203.0.113.7:0 http shop.example:81",
            ),
            (
                ["", "https", "shop.example", "8443"],
                "10.0.0.1:1 https shop.example:8443",
            ),
            (
                [
                    "203.0.113.7, 10.0.0.2",
                    "https, http",
                    "shop.example, inner",
                    "443, 80",
                ],
                "203.0.113.7:0 https shop.example",
            ),
            (
                ["1.1.1.1, 203.0.113.7, 10.0.0.2", "https", "shop.example", "443"],
                "203.0.113.7:0 https shop.example",
            ),
            (
                ["203.0.113.7", "lie, https", "lie, shop.example", "1, 443"],
                "203.0.113.7:0 https shop.example",
            ),
        ] {
            let names = [
                "x-forwarded-for",
                "x-forwarded-proto",
                "x-forwarded-host",
                "x-forwarded-port",
            ];
            let sent: Vec<_> = names.into_iter().zip(sent).collect();
            assert_eq!(told(&sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn both_kinds_may_be_there_when_they_name_the_same_client() {
        let standard = ("forwarded", "for=203.0.113.7;proto=https");
        let agreed = [
            standard,
            ("x-forwarded-for", "1.1.1.1, 203.0.113.7"),
            ("x-forwarded-host", "h"),
        ];
        assert_eq!(told(&agreed), "203.0.113.7:0 https h");
        let forged = [standard, ("x-forwarded-for", "198.51.100.1")];
        assert_eq!(told(&forged), "disagreement");
    }

    #[test]
    fn headers_of_others_are_removed() {
        let sent = [
            ("forwarded", "for=203.0.113.7"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-forwarded-prefix", "/x"),
            ("x-real-ip", "203.0.113.7"),
            ("x_forwarded_for", "203.0.113.7"),
            ("x-real_ip", "203.0.113.7"),
            ("x-forward", "stays"),
        ];
        for (peer, trusted) in [
            (Some(PEER), "192.0.2.0/24"),
            (Some(PEER), "unix"),
            (None, "10.0.0.0/8"),
        ] {
            let mut headers = headers(&sent);
            let peer = peer.map(|peer| peer.parse().unwrap());
            let told = read(&mut headers, peer, &[trusted.parse().unwrap()]);
            assert_eq!(told, Ok(None));
            assert_eq!(headers.keys().collect::<Vec<_>>(), ["x-forward"]);
        }
        let mut kept = headers(&sent);
        let told = read(&mut kept, None, &[PeerNetwork::Unix]).unwrap().unwrap();
        assert_eq!(told.client.unwrap().to_string(), "203.0.113.7:0");
        // A proxy passes on what its client has written with `_`.
        assert!(!kept.contains_key("x_forwarded_for") && !kept.contains_key("x-real_ip"));
        assert_eq!(kept.len(), sent.len() - 2);
    }
}
