//! What an app's file claims: hosts and paths at an address.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::manifest::{Address, AppSpec};
use crate::net::Location;

/// One thing that one app alone may have. Addresses that can't be open at once are in conflict whatever is behind them; the
/// same address is shared by apps of different locations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Spot {
    pub(crate) address: Address,
    pub(crate) location: Location,
}

impl Spot {
    pub(crate) fn conflicts_with(&self, other: &Spot) -> bool {
        self.address.conflicts_with(&other.address)
            && (self.address != other.address || self.location == other.location)
    }
}

/// All that an app claims. Empty for one without an address, or on any free port: that is in nobody's way.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Claim(Vec<Spot>);

impl Claim {
    pub(crate) fn of(spec: &AppSpec) -> Claim {
        if Key::of(&spec.address).is_none() {
            return Claim::default();
        }
        let spots = spec.site.locations().map(|location| Spot {
            address: spec.address.clone(),
            location,
        });
        Claim(spots.collect())
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

/// Something for each address, so that what is in conflict with one is found without a look at the others.
#[derive(Debug)]
pub(crate) struct ByAddress<V> {
    keys: HashMap<Key, HashMap<Address, V>>,
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
        let value = addresses.entry(address.clone()).or_default();
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
        self.keys.get(&Key::of(address)?)?.get(address)
    }

    /// What is kept for the other addresses that can't be open beside this one.
    pub(crate) fn beside<'a>(&'a self, address: &Address) -> impl Iterator<Item = &'a V> {
        let addresses = Key::of(address).and_then(|key| self.keys.get(&key));
        let others = addresses
            .into_iter()
            .flatten()
            .filter(move |(other, _)| *other != address);
        others
            .filter(move |(other, _)| other.conflicts_with(address))
            .map(|(_, value)| value)
    }
}
