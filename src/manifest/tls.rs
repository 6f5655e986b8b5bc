//! How an app is met by TLS: the member `tls`.
//!
//! | member | meaning | when left out |
//! |---|---|---|
//! | `cert`, `key` | a certificate chain and its key, PEM files | `acme` is needed |
//! | `acme` | `true`, or an object of `directory`, `contact`, `challenge`: certificates are ordered (RFC 8555) | `cert` and `key` are needed |
//! | `client_ca` | clients need a certificate of one of these authorities, a PEM file | clients need none |
//! | `redirect_from` | an address whose plain http requests are sent on to https | there is none |

use std::fmt;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::Address;
use super::raw::{meant, put};
use super::values::Named;
use crate::credentials;
use crate::net::{AcmeChallenge, AcmeOrder, CertificateSource, HostPattern, KeyPairFiles, ServerTls, Site};

pub(super) const MEMBERS: [&str; 5] = ["cert", "key", "acme", "client_ca", "redirect_from"];
pub(super) const ACME_MEMBERS: [&str; 3] = ["directory", "contact", "challenge"];
const CHALLENGES: [&str; 2] = ["tls-alpn-01", "http-01"];
const MAIL: &str = "mailto:";

/// How an app is met by TLS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    pub server: ServerTls,
    /// Where plain http requests for the app are sent on to https.
    pub redirect_from: Option<Address>,
}

impl Tls {
    /// Whether an app can be met so at this address and site.
    pub(super) fn fits(&self, address: Option<&Address>, site: &Site) -> Result<(), String> {
        let Some(address) = address else {
            return Err(
                "\"tls\" says how clients are met at an address; add for instance \"address\": \"0.0.0.0:443\"".to_owned(),
            );
        };
        if let Some(from) = self
            .redirect_from
            .as_ref()
            .filter(|from| from.conflicts_with(address))
        {
            return Err(format!(
                "\"redirect_from\" is {from}, which can't be open beside the app's own address {address}; a good one is \"0.0.0.0:80\""
            ));
        }
        if !matches!(self.server.certificate, CertificateSource::Acme(_)) {
            return Ok(());
        }
        if site.hosts.is_empty() {
            return Err(
                "\"acme\" orders a certificate for each \"host\"; add for instance \"host\": \"shop.example.com\"".to_owned(),
            );
        }
        for host in &site.hosts {
            match host {
                HostPattern::Wildcard(_) => {
                    return Err(format!(
                        "\"acme\" can't order a certificate for the wildcard {host}, which would need your DNS; name the hosts, or use \"cert\" and \"key\""
                    ));
                }
                HostPattern::Exact(name) if name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() => {
                    return Err(format!(
                        "\"acme\" can't order a certificate for the IP address {host}; name a host, or use \"cert\" and \"key\""
                    ));
                }
                HostPattern::Exact(_) => {}
            }
        }
        Ok(())
    }
}

/// Reads a contact: a URL, or a mail address.
pub(crate) fn contact(text: &str) -> Result<String, String> {
    match text.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() => Ok(match text.starts_with(MAIL) {
            true => text.to_owned(),
            false => format!("{MAIL}{text}"),
        }),
        _ => Err(format!(
            "contact {text:?} is no mail address; a good one is \"mailto:ops@example.com\""
        )),
    }
}

/// Reads the URL of a directory.
pub(crate) fn directory(text: &str) -> Result<String, String> {
    match url::Url::parse(text) {
        // Plain http would let anybody on the way have our names certified.
        Ok(url) if url.scheme() == "https" && url.has_host() => Ok(url.into()),
        _ => Err(format!(
            "directory {text:?} is no https URL; Let's Encrypt's is \"https://acme-v02.api.letsencrypt.org/directory\""
        )),
    }
}

/// Reads the member; paths are relative to `base_dir`.
pub(super) struct TlsMember<'a> {
    pub(super) base_dir: &'a Path,
}

impl<'de> DeserializeSeed<'de> for TlsMember<'_> {
    type Value = Tls;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Tls, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for TlsMember<'_> {
    type Value = Tls;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"cert\" and \"key\", or with \"acme\", for \"tls\"")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Tls, M::Error> {
        let (mut certificate, mut key, mut client_ca) = (None, None, None);
        let (mut acme, mut redirect_from) = (None, None);
        let path = |name| Named::text(name, |path: &str| file(name, path, self.base_dir));
        while let Some(name) = map.next_key_seed(Member("tls", &MEMBERS))? {
            match name {
                "cert" => put(&mut certificate, name, &mut map, path(name))?,
                "key" => put(&mut key, name, &mut map, path(name))?,
                "client_ca" => put(&mut client_ca, name, &mut map, path(name))?,
                "redirect_from" => {
                    let read = |text: &str| redirect_from_address(text, self.base_dir);
                    put(&mut redirect_from, name, &mut map, Named::text(name, read))?;
                }
                _ => put(&mut acme, name, &mut map, AcmeMember)?,
            }
        }
        let certificate = match (certificate, key, acme.flatten()) {
            (Some(certificate), Some(key), None) => {
                CertificateSource::Files(KeyPairFiles { certificate, key })
            }
            (None, None, Some(acme)) => CertificateSource::Acme(acme),
            (None, None, None) => {
                return Err(M::Error::custom(
                    "\"tls\" names no certificate; add \"cert\" and \"key\", or \"acme\": true to order one",
                ));
            }
            (Some(_), None, None) => {
                return Err(M::Error::custom("\"tls\" has \"cert\" without its \"key\""));
            }
            (None, Some(_), None) => {
                return Err(M::Error::custom("\"tls\" has \"key\" without its \"cert\""));
            }
            (_, _, Some(_)) => {
                return Err(M::Error::custom(
                    "\"tls\" has a certificate both from files and by \"acme\"; remove one",
                ));
            }
        };
        if let CertificateSource::Acme(acme) = &certificate
            && acme.challenge == AcmeChallenge::Http01
            && redirect_from.is_none()
        {
            return Err(M::Error::custom(
                "the challenge \"http-01\" comes over plain http; add \"redirect_from\", such as \"0.0.0.0:80\", or use \"tls-alpn-01\"",
            ));
        }
        Ok(Tls {
            server: ServerTls {
                certificate,
                client_ca,
            },
            redirect_from,
        })
    }
}

fn file(name: &str, path: &str, base_dir: &Path) -> Result<PathBuf, String> {
    if path.is_empty() {
        return Err(format!("{name:?} is empty; it is the path of a PEM file"));
    }
    credentials::or_file(path, base_dir).map_err(|error| error.to_string())
}

fn redirect_from_address(text: &str, base_dir: &Path) -> Result<Address, String> {
    let address = Address::parse(text, base_dir).map_err(|error| error.to_string())?;
    match address.port() {
        None => Err(format!(
            "\"redirect_from\" is {text:?}, where no browser asks; a good one is \"0.0.0.0:80\""
        )),
        Some(0) => Err(format!(
            "\"redirect_from\" is {text:?}, and clients could not know which port that becomes; a good one is \"0.0.0.0:80\""
        )),
        Some(_) => Ok(address),
    }
}

/// `true`, `false` or an object; `None` for `false`.
struct AcmeMember;

impl<'de> DeserializeSeed<'de> for AcmeMember {
    type Value = Option<AcmeOrder>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Option<AcmeOrder>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for AcmeMember {
    type Value = Option<AcmeOrder>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "true, or an object that may have \"directory\", \"contact\" and \"challenge\", for \"acme\"",
        )
    }

    fn visit_bool<E: Error>(self, ordered: bool) -> Result<Option<AcmeOrder>, E> {
        Ok(ordered.then(AcmeOrder::default))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Option<AcmeOrder>, M::Error> {
        let (mut url, mut contact, mut challenge) = (None, None, None);
        while let Some(name) = map.next_key_seed(Member("acme", &ACME_MEMBERS))? {
            match name {
                "directory" => put(&mut url, name, &mut map, Named::text(name, directory))?,
                "contact" => put(&mut contact, name, &mut map, Contacts)?,
                _ => put(&mut challenge, name, &mut map, Named::text(name, challenge_name))?,
            }
        }
        Ok(Some(AcmeOrder {
            directory: url,
            contact,
            challenge: challenge.unwrap_or_default(),
        }))
    }
}

fn challenge_name(text: &str) -> Result<AcmeChallenge, String> {
    match text {
        "tls-alpn-01" => Ok(AcmeChallenge::TlsAlpn01),
        "http-01" => Ok(AcmeChallenge::Http01),
        "dns-01" => Err(
            "the challenge \"dns-01\" would need to write your DNS; use \"tls-alpn-01\" or \"http-01\""
                .to_owned(),
        ),
        _ => Err(match meant(text, &CHALLENGES) {
            Some(meant) => format!("unknown challenge {text:?}; did you mean {meant:?}?"),
            None => format!("unknown challenge {text:?}; there are \"tls-alpn-01\" and \"http-01\""),
        }),
    }
}

/// One contact or a list of them.
struct Contacts;

impl<'de> DeserializeSeed<'de> for Contacts {
    type Value = Vec<String>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Vec<String>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Contacts {
    type Value = Vec<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a mail address, or a list of them, for \"contact\"")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<String>, E> {
        Ok(vec![contact(text).map_err(E::custom)?])
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Vec<String>, S::Error> {
        let mut contacts = Vec::new();
        while let Some(one) = list.next_element_seed(Named::text("contact", contact))? {
            contacts.push(one);
        }
        Ok(contacts)
    }
}

/// One of the members of an object; any other is an error at its own place.
struct Member(&'static str, &'static [&'static str]);

impl<'de> DeserializeSeed<'de> for Member {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<&'static str, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for Member {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the name of a member of {:?}", self.0)
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static str, E> {
        let Member(object, known) = self;
        if let Some(known) = known.iter().find(|known| **known == name) {
            return Ok(known);
        }
        Err(E::custom(match meant(name, known) {
            Some(meant) => format!("unknown member {name:?} of {object:?}; did you mean {meant:?}?"),
            None => format!(
                "unknown member {name:?}; {object:?} may have {}",
                known.join(", ")
            ),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::parse_app;

    fn read(member: &str) -> Result<Tls, String> {
        let text = format!(
            "{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:443\", \"host\": \"a.example\",\n\"tls\": {member}}}"
        );
        match parse_app(&text, Path::new("/apps/a.json")) {
            Ok(spec) => Ok(*spec.tls.unwrap()),
            Err(error) => Err(error.to_string()),
        }
    }

    #[test]
    fn files_are_beside_the_app_file() {
        let tls = read(r#"{"cert": "a.pem", "key": "/keys/a.key", "client_ca": "ca.pem", "redirect_from": "0.0.0.0:80"}"#).unwrap();
        let files = KeyPairFiles {
            certificate: "/apps/a.pem".into(),
            key: "/keys/a.key".into(),
        };
        assert_eq!(tls.server.certificate, CertificateSource::Files(files));
        assert_eq!(tls.server.client_ca, Some("/apps/ca.pem".into()));
        assert_eq!(tls.redirect_from.unwrap().to_string(), "0.0.0.0:80");
    }

    #[test]
    fn certificates_are_ordered_with_the_daemons_settings_or_the_apps_own() {
        let tls = read(r#"{"acme": true}"#).unwrap();
        assert_eq!(
            tls.server.certificate,
            CertificateSource::Acme(AcmeOrder::default())
        );
        let tls = read(
            r#"{"acme": {"directory": "https://ca.example/dir", "contact": ["a@b.example", "mailto:c@d.example"],
                "challenge": "http-01"}, "redirect_from": "0.0.0.0:80"}"#,
        );
        assert_eq!(
            tls.unwrap().server.certificate,
            CertificateSource::Acme(AcmeOrder {
                directory: Some("https://ca.example/dir".into()),
                contact: Some(vec!["mailto:a@b.example".into(), "mailto:c@d.example".into()]),
                challenge: AcmeChallenge::Http01,
            })
        );
    }

    #[test]
    fn tls_has_to_fit_the_address_and_the_hosts() {
        let refusal = |members: &str| {
            let text = format!("{{\"reference\": \"a/b\", {members}}}");
            parse_app(&text, Path::new("/apps/a.json"))
                .unwrap_err()
                .to_string()
        };
        let files = r#""cert": "a", "key": "b""#;
        let acme = r#""address": "0.0.0.0:443", "tls": {"acme": true}"#;
        for (members, reason) in [
            (format!("\"tls\": {{{files}}}"), "add for instance \"address\""),
            (
                format!(
                    "\"address\": \"0.0.0.0:443\", \"tls\": {{{files}, \"redirect_from\": \"0.0.0.0:443\"}}"
                ),
                "beside the app's own address",
            ),
            (acme.to_owned(), "for each \"host\""),
            (
                format!("{acme}, \"host\": [\"a.example\", \"*.b.example\"]"),
                "wildcard *.b.example",
            ),
            (format!("{acme}, \"host\": \"127.0.0.1\""), "IP address 127.0.0.1"),
            (format!("{acme}, \"host\": \"::1\""), "IP address [::1]"),
        ] {
            let message = refusal(&members);
            assert!(message.contains(reason), "{message} should say {reason}");
        }
    }

    #[test]
    fn each_mistake_has_its_sentence_and_its_place() {
        let cases = [
            ("true", "an object with \"cert\" and \"key\""),
            ("{}", "names no certificate"),
            (r#"{"acme": false}"#, "names no certificate"),
            (r#"{"cert": "a"}"#, "without its \"key\""),
            (r#"{"key": "a"}"#, "without its \"cert\""),
            (r#"{"cert": "", "key": "a"}"#, "\"cert\" is empty"),
            (
                r#"{"cert": "a", "key": "b", "acme": true}"#,
                "both from files and by \"acme\"",
            ),
            (r#"{"crt": "a"}"#, "did you mean \"cert\"?"),
            (r#"{"acme": {"dirctory": "x"}}"#, "did you mean \"directory\"?"),
            (r#"{"acme": {"directory": "http://x/"}}"#, "no https URL"),
            (r#"{"acme": {"contact": "me"}}"#, "no mail address"),
            (
                r#"{"acme": {"challenge": "dns-01"}}"#,
                "would need to write your DNS",
            ),
            (
                r#"{"acme": {"challenge": "tls-alpn"}}"#,
                "did you mean \"tls-alpn-01\"?",
            ),
            (r#"{"acme": {"challenge": "http-01"}}"#, "add \"redirect_from\""),
            (
                r#"{"cert": "a", "key": "b", "redirect_from": "unix:x"}"#,
                "where no browser asks",
            ),
            (
                r#"{"cert": "a", "key": "b", "redirect_from": "0.0.0.0:0"}"#,
                "could not know which port",
            ),
            (
                r#"{"cert": "a", "key": "b", "redirect_from": "0.0.0.0"}"#,
                "has no port",
            ),
        ];
        for (member, reason) in cases {
            let message = read(member).unwrap_err();
            assert!(message.starts_with("/apps/a.json:2:"), "{message}");
            assert!(message.contains(reason), "{message} should say {reason}");
        }
    }
}
