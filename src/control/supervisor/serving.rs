//! Which runs are where, whoever claims it now.

use std::collections::{BTreeSet, HashMap};

use crate::control::claim::{ByAddress, Claim, Spot};
use crate::manifest::{Address, AppId};
use crate::net::Location;

/// One run that serves.
#[derive(Debug, Clone)]
pub(super) struct Served {
    pub(super) run: u64,
    pub(super) owner: AppId,
    claim: Claim,
}

/// All of them, by what they can be in conflict about.
#[derive(Debug, Default)]
pub(super) struct Serving {
    runs: HashMap<u64, Served>,
    addresses: ByAddress<AtAddress>,
}

#[derive(Debug, Default)]
struct AtAddress {
    /// Without TLS, and with it: a socket speaks it, or it does not.
    runs: [BTreeSet<u64>; 2],
    locations: HashMap<Location, u64>,
}

impl Serving {
    /// A run is where it claims to be, in place of whoever was there. Gives the runs that have nothing left, and those of
    /// other apps that clients can't meet any more.
    pub(super) fn add(&mut self, run: u64, owner: &AppId, claim: Claim) -> Vec<Served> {
        let mut displaced = BTreeSet::new();
        let mut unmet = BTreeSet::new();
        for Spot {
            address,
            location,
            tls,
        } in claim.spots()
        {
            let add = |at_address: &mut AtAddress| {
                at_address.runs[usize::from(*tls)].insert(run);
                unmet.extend(&at_address.runs[usize::from(!*tls)]);
                at_address.locations.insert(location.clone(), run)
            };
            displaced.extend(self.addresses.change(address, add, |_| false).flatten());
        }
        unmet.retain(|run| self.runs.get(run).is_some_and(|served| served.owner != *owner));
        let owner = owner.clone();
        self.runs.insert(run, Served { run, owner, claim });
        displaced.retain(|run| self.held(*run).next().is_none());
        displaced.append(&mut unmet);
        let displaced = displaced.into_iter();
        displaced.filter_map(|run| self.runs.get(&run).cloned()).collect()
    }

    pub(super) fn remove(&mut self, run: u64) {
        let Some(served) = self.runs.remove(&run) else {
            return;
        };
        for Spot {
            address, location, ..
        } in served.claim.spots()
        {
            let remove = |at_address: &mut AtAddress| {
                for runs in &mut at_address.runs {
                    runs.remove(&run);
                }
                if at_address.locations.get(location) == Some(&run) {
                    at_address.locations.remove(location);
                }
            };
            let empty = |at_address: &AtAddress| at_address.runs.iter().all(BTreeSet::is_empty);
            self.addresses.change(address, remove, empty);
        }
    }

    /// What a run has that nobody has taken over.
    pub(super) fn held(&self, run: u64) -> impl Iterator<Item = &Spot> {
        let spots = self
            .runs
            .get(&run)
            .into_iter()
            .flat_map(|served| served.claim.spots());
        spots.filter(move |spot| {
            let at_address = self.addresses.get(&spot.address);
            at_address.and_then(|at_address| at_address.locations.get(&spot.location)) == Some(&run)
        })
    }

    /// Those whose address can't be open beside this one.
    pub(super) fn beside(&self, address: &Address) -> Vec<Served> {
        let others = self
            .addresses
            .beside(address)
            .flat_map(|at_address| at_address.runs.iter().flatten());
        others.filter_map(|run| self.runs.get(run).cloned()).collect()
    }
}
