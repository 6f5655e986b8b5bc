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

/// Conflicts are possible only between addresses of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    Port(u16),
    Unix(PathBuf),
}

impl Key {
    /// `None`: never in conflict.
    fn of(address: &Address) -> Option<Key> {
        match address {
            Address::Unix(path) => Some(Key::Unix(path.clone())),
            _ => address.port().filter(|port| *port != 0).map(Key::Port),
        }
    }
}

/// Something for each address, so that what is in conflict with one is found without a look at the others: thousands may have one port.
#[derive(Debug, Clone)]
pub(crate) struct ByAddress<V> {
    keys: HashMap<Key, OfKey<V>>,
}

/// Boxed: half of a table is empty.
#[derive(Debug, Clone)]
struct OfKey<V> {
    /// See [`Address::is_narrow`].
    narrow: HashMap<Address, Box<V>>,
    wide: HashMap<Address, Box<V>>,
}

impl<V> Default for ByAddress<V> {
    fn default() -> Self {
        let keys = HashMap::new();
        Self { keys }
    }
}

impl<V> Default for OfKey<V> {
    fn default() -> Self {
        let (narrow, wide) = (HashMap::new(), HashMap::new());
        Self { narrow, wide }
    }
}

impl<V> OfKey<V> {
    fn of(&self, address: &Address) -> &HashMap<Address, Box<V>> {
        match address.is_narrow() {
            true => &self.narrow,
            false => &self.wide,
        }
    }

    fn of_mut(&mut self, address: &Address) -> &mut HashMap<Address, Box<V>> {
        match address.is_narrow() {
            true => &mut self.narrow,
            false => &mut self.wide,
        }
    }

    fn is_empty(&self) -> bool {
        self.narrow.is_empty() && self.wide.is_empty()
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
        let of_key = self.keys.entry(key.clone()).or_default();
        let addresses = of_key.of_mut(address);
        let value = match addresses.get_mut(address) {
            Some(value) => value,
            None => addresses.entry(address.clone()).or_default(),
        };
        let result = change(value);
        if empty(value) {
            addresses.remove(address);
            if of_key.is_empty() {
                self.keys.remove(&key);
            }
        }
        Some(result)
    }

    pub(crate) fn get(&self, address: &Address) -> Option<&V> {
        let of_key = self.keys.get(&Key::of(address)?)?;
        of_key.of(address).get(address).map(|value| &**value)
    }

    /// What is kept for the other addresses that can't be open beside this one.
    pub(crate) fn beside<'a>(&'a self, address: &Address) -> impl Iterator<Item = &'a V> {
        let of_key = Key::of(address).and_then(|key| self.keys.get(&key));
        let others = of_key.into_iter().flat_map(move |of_key| {
            let narrow = (!address.is_narrow()).then_some(&of_key.narrow);
            narrow.into_iter().chain([&of_key.wide]).flatten()
        });
        others
            .filter(move |(other, _)| *other != address && other.conflicts_with(address))
            .map(|(_, value)| &**value)
    }
}
