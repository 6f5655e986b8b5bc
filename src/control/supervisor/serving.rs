//! Which runs are where, whoever claims it now.

use std::collections::{BTreeSet, HashMap};

use crate::control::claim::{ByAddress, Claim, Spot};
use crate::control::few::FewKeys;
use crate::control::meeting::Meetings;
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
    runs: Meetings<u64>,
    locations: FewKeys<Location, u64>,
}

impl Serving {
    /// A run is where it claims to be, in place of whoever was there. Gives the runs that have nothing left, and those of
    /// other apps that clients can't meet any more.
    pub(super) fn add(&mut self, run: u64, owner: &AppId, claim: Claim) -> Vec<Served> {
        let mut displaced = BTreeSet::new();
        let mut unmet = BTreeSet::new();
        for spot in claim.spots() {
            let add = |at_address: &mut AtAddress| {
                at_address.runs.add(spot, &run);
                unmet.extend(at_address.runs.against(spot).flatten());
                at_address.locations.insert(spot.location.clone(), run)
            };
            displaced.extend(self.addresses.change(&spot.address, add, |_| false).flatten());
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
        for spot in served.claim.spots() {
            let remove = |at_address: &mut AtAddress| {
                at_address.runs.remove(spot, &run);
                if at_address.locations.get(&spot.location) == Some(&run) {
                    at_address.locations.remove(&spot.location);
                }
            };
            let empty = |at_address: &AtAddress| at_address.runs.is_empty();
            self.addresses.change(&spot.address, remove, empty);
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
            .flat_map(|at_address| at_address.runs.all());
        others.filter_map(|run| self.runs.get(run).cloned()).collect()
    }
}
