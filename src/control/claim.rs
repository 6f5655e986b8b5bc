//! What an app's file claims: hosts and paths at an address.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::meeting::Meeting;
use crate::manifest::{Address, AppSpec};
use crate::net::Location;

/// One thing that one app alone may have. Addresses that can't be open at once are in conflict whatever is behind them; the
/// same address is shared by apps of different locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) address: Address,
    pub(crate) location: Location,
    pub(crate) meeting: Meeting,
}

impl Spot {
    pub(crate) fn conflicts_with(&self, other: &Spot) -> bool {
        self.address.conflicts_with(&other.address)
            && (self.address != other.address
                || self.location == other.location
                || !self.can_be_met_beside(other))
    }

    /// Whether clients can be met as both ask at the same address.
    pub(crate) fn can_be_met_beside(&self, other: &Spot) -> bool {
        self.meeting == other.meeting
            || self.meeting.is_secure()
                && other.meeting.is_secure()
                && self.location.host != other.location.host
    }
}

/// All that an app claims, where it is sent on from included. Empty for one without an address, or on any free port: that is in nobody's way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claim(Arc<[Spot]>);

impl Claim {
    pub(crate) fn of(spec: &AppSpec) -> Claim {
        let from = spec.tls.as_deref().and_then(|tls| tls.redirect_from.as_ref());
        let addresses = [
            (Some(&spec.address), Meeting::of(spec.tls.as_deref())),
            (from, Meeting::Plain),
        ];
        let spots = addresses.into_iter().flat_map(|(address, meeting)| {
            let address = address.filter(|address| Key::of(address).is_some());
            address.into_iter().flat_map(move |address| {
                let meeting = meeting.clone();
                spec.site.locations().map(move |location| Spot {
                    address: address.clone(),
                    location,
                    meeting: meeting.clone(),
                })
            })
        });
        Claim(spots.collect())
    }

    /// The same where the daemon has certificates for these addresses, and for those that can't be open beside one of them.
    pub(crate) fn with_tls_at(self, addresses: &[Address]) -> Claim {
        if addresses.is_empty() {
            return self;
        }
        let spots = self.0.iter().map(|spot| {
            let mut spot = spot.clone();
            let secure = addresses.iter().any(|at| at.conflicts_with(&spot.address));
            if secure && !spot.meeting.is_secure() {
                spot.meeting = Meeting::Secure { client_ca: None };
            }
            spot
        });
        Claim(spots.collect())
    }

    /// The addresses, each once.
    pub(crate) fn addresses(&self) -> HashSet<&Address> {
        self.0.iter().map(|spot| &spot.address).collect()
    }

    pub(crate) fn spots(&self) -> &[Spot] {
        &self.0
    }
}

/// What is kept together: narrow addresses of a place are not looked at for each other.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    place: Place,
    /// See [`Address::is_narrow`].
    is_narrow: bool,
}

/// Conflicts are possible only between addresses of one place.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    Port(u16),
    Unix(PathBuf),
}

impl Key {
    /// `None`: never in conflict.
    fn of(address: &Address) -> Option<Key> {
        let place = match address {
            Address::Unix(path) => Place::Unix(path.clone()),
            _ => Place::Port(address.port().filter(|port| *port != 0)?),
        };
        let is_narrow = address.is_narrow();
        Some(Key { place, is_narrow })
    }
}

/// Something for each address, so that what is in conflict with one is found without a look at the others: thousands may have one port.
#[derive(Debug, Clone)]
pub(crate) struct ByAddress<V> {
    /// Boxed: half of a table is empty.
    keys: HashMap<Key, HashMap<Address, Box<V>>>,
}

impl<V> Default for ByAddress<V> {
    fn default() -> Self {
        let keys = HashMap::new();
        Self { keys }
    }
}

impl<V: Default> ByAddress<V> {
    /// Changes what is kept for an address that can be in conflict, and forgets it when it is `empty` after that.
    pub(crate) fn change<R>(
        &mut self,
        address: &Address,
        change: impl FnOnce(&mut V) -> R,
        empty: impl FnOnce(&V) -> bool,
    ) -> Option<R> {
        let key = Key::of(address)?;
        let addresses = self.keys.entry(key.clone()).or_default();
        let value = match addresses.get_mut(address) {
            Some(value) => value,
            None => addresses.entry(address.clone()).or_default(),
        };
        let result = change(value);
        if empty(value) {
            addresses.remove(address);
            if addresses.is_empty() {
                self.keys.remove(&key);
            }
        }
        Some(result)
    }

    pub(crate) fn get(&self, address: &Address) -> Option<&V> {
        self.keys
            .get(&Key::of(address)?)?
            .get(address)
            .map(|value| &**value)
    }

    /// What is kept for the other addresses that can't be open beside this one.
    pub(crate) fn beside<'a>(&'a self, address: &Address) -> impl Iterator<Item = &'a V> {
        let key = Key::of(address);
        let with = |is_narrow| key.clone().map(|key| Key { is_narrow, ..key });
        // Two narrow ones are in conflict only if they are the same.
        let narrow = with(true).filter(|_| !address.is_narrow());
        let keys = narrow.into_iter().chain(with(false));
        let others = keys.filter_map(|key| self.keys.get(&key)).flatten();
        others
            .filter(move |(other, _)| *other != address && other.conflicts_with(address))
            .map(|(_, value)| &**value)
    }
}
