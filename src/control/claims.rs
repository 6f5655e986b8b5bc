//! Which app may have which address: first come, first served.
//!
//! An app claims what its newest valid file asks for, whether it runs yet or not. Claims that conflict stand in one
//! bucket (a port, or a Unix path), so that the work for one app does not grow with the number of apps.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::manifest::{Address, AppId};

/// Conflicts are possible only between addresses of one key.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Port(u16),
    Unix(PathBuf),
}

impl Key {
    /// `None`: never in conflict.
    pub(crate) fn of(address: &Address) -> Option<Key> {
        match address {
            Address::Unix(path) => Some(Key::Unix(path.clone())),
            _ => address.port().filter(|port| *port != 0).map(Key::Port),
        }
    }
}

#[derive(Debug)]
struct Claim {
    id: AppId,
    address: Address,
    /// A claim that has been granted stays granted until it is given up: a running app never loses its address.
    granted: bool,
}

/// All claims, in the order in which they were made within each bucket.
#[derive(Debug, Default)]
pub(crate) struct Claims {
    addresses: HashMap<AppId, Address>,
    buckets: HashMap<Key, Vec<Claim>>,
}

/// What a change of claims leads to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched(pub(crate) Vec<AppId>);

impl Claims {
    /// Gives up what `id` claims. The others of its bucket may be granted theirs: see [`Claims::settle`].
    pub(crate) fn release(&mut self, id: &AppId) -> Touched {
        let Some(key) = self.addresses.remove(id).as_ref().and_then(Key::of) else {
            return Touched::default();
        };
        let Some(bucket) = self.buckets.get_mut(&key) else {
            return Touched::default();
        };
        bucket.retain(|claim| claim.id != *id);
        let touched = bucket.iter().map(|claim| claim.id.clone()).collect();
        if bucket.is_empty() {
            self.buckets.remove(&key);
        }
        Touched(touched)
    }

    /// Whether `id` claims exactly this.
    pub(crate) fn claims(&self, id: &AppId, address: &Address) -> bool {
        self.addresses.get(id) == Some(address)
    }

    /// Puts `id` at the end of the queue for `address`. A claim that it has for another one must have been released.
    pub(crate) fn claim(&mut self, id: &AppId, address: &Address) {
        self.addresses.insert(id.clone(), address.clone());
        if let Some(key) = Key::of(address) {
            let (id, address, granted) = (id.clone(), address.clone(), false);
            self.buckets
                .entry(key)
                .or_default()
                .push(Claim { id, address, granted });
        }
    }

    /// Grants what can be granted among the claims that conflict with the one of `id`.
    pub(crate) fn settle(&mut self, id: &AppId) {
        let Some(bucket) = self
            .addresses
            .get(id)
            .and_then(Key::of)
            .and_then(|key| self.buckets.get_mut(&key))
        else {
            return;
        };
        for index in 0..bucket.len() {
            let claim = &bucket[index];
            let free = |other: &Claim| !other.granted || !other.address.conflicts_with(&claim.address);
            if !claim.granted && bucket.iter().all(free) {
                bucket[index].granted = true;
            }
        }
    }

    /// Who holds what `id` claims; `None`: `id` itself.
    pub(crate) fn blocked_by(&self, id: &AppId) -> Option<&AppId> {
        let address = self.addresses.get(id)?;
        self.holder(id, address)
    }

    /// Who else has been granted an address that conflicts with this one.
    pub(crate) fn holder(&self, id: &AppId, address: &Address) -> Option<&AppId> {
        let bucket = self.buckets.get(&Key::of(address)?)?;
        let mut others = bucket.iter().filter(|claim| claim.id != *id && claim.granted);
        others
            .find(|claim| claim.address.conflicts_with(address))
            .map(|claim| &claim.id)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn id(name: &str) -> AppId {
        AppId::new(name)
    }

    fn address(text: &str) -> Address {
        Address::parse(text, Path::new("/")).unwrap()
    }

    fn claim(claims: &mut Claims, name: &str, text: &str) {
        claims.claim(&id(name), &address(text));
        claims.settle(&id(name));
    }

    fn release(claims: &mut Claims, name: &str) {
        for other in claims.release(&id(name)).0 {
            claims.settle(&other);
        }
    }

    #[test]
    fn the_second_claim_waits_for_the_first_and_gets_it_when_it_is_released() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:80");
        claim(&mut claims, "b", "127.0.0.1:80");
        claim(&mut claims, "c", "127.0.0.1:80");
        assert_eq!(claims.blocked_by(&id("a")), None);
        assert_eq!(claims.blocked_by(&id("b")), Some(&id("a")));
        release(&mut claims, "a");
        assert_eq!(claims.blocked_by(&id("b")), None);
        assert_eq!(claims.blocked_by(&id("c")), Some(&id("b")));
    }

    #[test]
    fn a_wildcard_waits_for_all_and_takes_nothing_from_those_who_came_later() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:80");
        claim(&mut claims, "wide", "0.0.0.0:80");
        claim(&mut claims, "late", "127.0.0.2:80");
        assert_eq!(
            claims.blocked_by(&id("late")),
            None,
            "only waiting claims are in its way"
        );
        release(&mut claims, "a");
        assert_eq!(claims.blocked_by(&id("wide")), Some(&id("late")));
        release(&mut claims, "late");
        assert_eq!(claims.blocked_by(&id("wide")), None);
    }

    #[test]
    fn swapped_addresses_are_granted_once_both_have_been_released() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "unix:one");
        claim(&mut claims, "b", "unix:two");
        claims.release(&id("a"));
        claim(&mut claims, "a", "unix:two");
        assert_eq!(claims.blocked_by(&id("a")), Some(&id("b")));
        let touched = claims.release(&id("b"));
        assert_eq!(touched, Touched(vec![id("a")]));
        claim(&mut claims, "b", "unix:one");
        claims.settle(&id("a"));
        assert_eq!(claims.blocked_by(&id("a")), None);
        assert_eq!(claims.blocked_by(&id("b")), None);
    }

    #[test]
    fn port_0_is_free_for_everyone() {
        let mut claims = Claims::default();
        claim(&mut claims, "a", "127.0.0.1:0");
        claim(&mut claims, "b", "127.0.0.1:0");
        assert_eq!(claims.blocked_by(&id("b")), None);
    }
}
