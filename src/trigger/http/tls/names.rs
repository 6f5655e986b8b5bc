//! Whose certificate is for a name, at one address.

use std::collections::HashMap;
use std::sync::Arc;

use super::app::{AppTls, EndpointTls};
use crate::net::{HostPattern, Site, wildcards_of};

/// Which app's TLS a client is met with that names a host, by the hosts of all apps of one address.
///
/// Apps of one host share its handshakes: the one that came last decides.
#[derive(Default)]
pub(in crate::trigger::http) struct Names {
    exact: HashMap<String, Vec<Named>>,
    /// By the name behind the `*.`.
    wildcards: HashMap<String, Vec<Named>>,
    any: Vec<Named>,
    /// The address's own, for names that no app has.
    address: Option<Arc<AppTls>>,
    len: usize,
}

/// One app's TLS; `of` tells who put it there.
struct Named {
    of: usize,
    tls: Arc<AppTls>,
}

impl Names {
    /// Whether a client is met with TLS at all.
    pub(in crate::trigger::http) fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(in crate::trigger::http) fn put(&mut self, site: &Site, of: usize, tls: &EndpointTls) {
        self.len += 1;
        self.address = tls.address.clone();
        self.each(site, |named| {
            let tls = tls.app.clone();
            named.push(Named { of, tls });
        });
    }

    /// Takes out what was put in for `of` at this site; nothing, where there is nothing of it.
    pub(in crate::trigger::http) fn take(&mut self, site: &Site, of: usize) {
        let mut taken = false;
        self.each(site, |named| {
            let before = named.len();
            named.retain(|named| named.of != of);
            taken |= named.len() < before;
        });
        self.len -= usize::from(taken);
    }

    /// For a name in lower case: an exact host goes before wildcards, longer ones first, and those before apps without a
    /// host.
    pub(in crate::trigger::http) fn find(&self, name: Option<&str>) -> Option<Arc<AppTls>> {
        let named = name.into_iter().flat_map(|name| {
            let wildcards = wildcards_of(name).filter_map(|suffix| self.wildcards.get(suffix));
            self.exact.get(name).into_iter().chain(wildcards)
        });
        // One that can be used goes before one that has yet to come, and then the newest.
        let best = |named: &'_ Vec<Named>| {
            let usable = named.iter().rposition(|named| named.tls.lacks(name).is_none());
            usable.or(named.len().checked_sub(1))
        };
        let found = named
            .chain([&self.any])
            .find_map(|named| best(named).and_then(|at| named.get(at)));
        found.map(|named| &named.tls).or(self.address.as_ref()).cloned()
    }

    /// Changes what there is for each host of a site; leaves nothing empty behind.
    fn each(&mut self, site: &Site, mut change: impl FnMut(&mut Vec<Named>)) {
        if site.hosts.is_empty() {
            change(&mut self.any);
        }
        for host in &site.hosts {
            let (table, name) = match host {
                HostPattern::Exact(name) => (&mut self.exact, name),
                HostPattern::Wildcard(suffix) => (&mut self.wildcards, suffix),
            };
            let named = table.entry(name.clone()).or_default();
            change(named);
            if named.is_empty() {
                table.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::{CertificateFiles, KeyPairFiles};

    fn tls() -> Arc<AppTls> {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (directory.path().join("c"), directory.path().join("k"));
        let signed = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        std::fs::write(&certificate, signed.cert.pem()).unwrap();
        std::fs::write(&key, signed.signing_key.serialize_pem()).unwrap();
        AppTls::of_address(&KeyPairFiles { certificate, key }, &CertificateFiles::default()).unwrap()
    }

    fn site(hosts: &[&str]) -> Site {
        Site {
            hosts: hosts
                .iter()
                .map(|host| HostPattern::parse(host).unwrap())
                .collect(),
            ..Site::default()
        }
    }

    #[tokio::test]
    async fn the_most_exact_host_decides_and_of_one_host_the_newest_app() {
        let mut names = Names::default();
        let all: Vec<_> = (0..5).map(|_| tls()).collect();
        let sites = [
            site(&[]),
            site(&["*.example"]),
            site(&["*.b.example", "c.example"]),
            site(&["a.example"]),
            site(&["a.example"]),
        ];
        for (of, (site, tls)) in sites.iter().zip(&all).enumerate() {
            let tls = EndpointTls {
                app: tls.clone(),
                address: None,
                redirect_from: None,
            };
            names.put(site, of, &tls);
        }
        let found = |names: &Names, name| {
            let found = names.find(name)?;
            all.iter().position(|tls| Arc::ptr_eq(tls, &found))
        };
        for (name, expected) in [
            (None, 0),
            (Some("example"), 0),
            (Some("x.y.example"), 1),
            (Some("x.b.example"), 2),
            (Some("b.example"), 1),
            (Some("c.example"), 2),
            (Some("a.example"), 4),
        ] {
            assert_eq!(found(&names, name), Some(expected), "{name:?}");
        }
        names.take(&sites[4], 4);
        assert_eq!(found(&names, Some("a.example")), Some(3));
        names.take(&sites[4], 4);
        for (of, site) in sites.iter().enumerate().take(4) {
            assert!(!names.is_empty());
            names.take(site, of);
        }
        assert!(names.is_empty());
        assert_eq!(found(&names, Some("a.example")), None);
    }
}
