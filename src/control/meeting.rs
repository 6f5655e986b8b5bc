//! How clients are met at an address, and what can't be met beside it.

use std::collections::HashMap;
use std::path::PathBuf;

use super::claim::Spot;
use super::few::{Few, FewKeys};
use crate::manifest::Tls;
use crate::net::HostPattern;

/// How clients are met: an address speaks TLS, or it does not; and a handshake is for a host, whatever path will be asked for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Meeting {
    Plain,
    Secure {
        /// Whose certificates clients need, as a path; `None`: they need none.
        client_ca: Option<PathBuf>,
    },
}

impl Meeting {
    pub(crate) fn of(tls: Option<&Tls>) -> Meeting {
        tls.map_or(Meeting::Plain, |tls| Meeting::Secure {
            client_ca: tls.server.client_ca.clone(),
        })
    }

    pub(crate) fn is_secure(&self) -> bool {
        *self != Meeting::Plain
    }
}

/// Who is met how at one address. The work for one spot does not grow with the number of those who are met as it asks.
#[derive(Debug, Clone)]
pub(crate) struct Meetings<T> {
    plain: Few<T>,
    secure: Few<T>,
    /// Those with TLS, by what is one handshake.
    hosts: FewKeys<Option<HostPattern>, HashMap<Meeting, Few<T>>>,
}

impl<T> Default for Meetings<T> {
    fn default() -> Self {
        Self {
            plain: Few::default(),
            secure: Few::default(),
            hosts: FewKeys::default(),
        }
    }
}

impl<T: Ord + Clone> Meetings<T> {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.secure.is_empty()
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &T> {
        self.each().into_iter().flatten()
    }

    /// All of them, in two sets.
    pub(crate) fn each(&self) -> [&Few<T>; 2] {
        [&self.plain, &self.secure]
    }

    pub(crate) fn add(&mut self, spot: &Spot, who: &T) {
        if !spot.meeting.is_secure() {
            self.plain.insert(who.clone());
            return;
        }
        self.secure.insert(who.clone());
        let name = &spot.location.host;
        if self.hosts.get(name).is_none() {
            self.hosts.insert(name.clone(), HashMap::new());
        }
        if let Some(host) = self.hosts.get_mut(name) {
            host.entry(spot.meeting.clone()).or_default().insert(who.clone());
        }
    }

    /// To be called for each spot of one who goes.
    pub(crate) fn remove(&mut self, spot: &Spot, who: &T) {
        self.plain.remove(who);
        self.secure.remove(who);
        let Some(host) = self.hosts.get_mut(&spot.location.host) else {
            return;
        };
        if let Some(same) = host.get_mut(&spot.meeting) {
            same.remove(who);
        }
        host.retain(|_, same| !same.is_empty());
        if host.is_empty() {
            self.hosts.remove(&spot.location.host);
        }
    }

    /// Those who can't be met beside a spot.
    pub(crate) fn against<'a>(&'a self, spot: &Spot) -> impl Iterator<Item = &'a Few<T>> {
        let (others, host) = match spot.meeting.is_secure() {
            false => (&self.secure, None),
            true => (&self.plain, self.hosts.get(&spot.location.host)),
        };
        let otherwise = host.into_iter().flatten();
        let otherwise = otherwise.filter(move |(meeting, _)| **meeting != spot.meeting);
        std::iter::once(others).chain(otherwise.map(|(_, same)| same))
    }
}
