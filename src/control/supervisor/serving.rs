//! Which runs have an address open, whoever claims it now.

use std::collections::HashMap;

use crate::control::claims::Key;
use crate::manifest::{Address, AppId};

/// One run that serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Served {
    pub(super) run: u64,
    pub(super) owner: AppId,
    pub(super) address: Address,
}

/// All of them, by what they can be in conflict about.
#[derive(Debug, Default)]
pub(super) struct Serving {
    runs: HashMap<Key, Vec<Served>>,
}

impl Serving {
    pub(super) fn add(&mut self, run: u64, owner: &AppId, address: &Address) {
        if let Some(key) = Key::of(address) {
            let (owner, address) = (owner.clone(), address.clone());
            self.runs
                .entry(key)
                .or_default()
                .push(Served { run, owner, address });
        }
    }

    pub(super) fn remove(&mut self, run: u64, address: &Address) {
        let Some(key) = Key::of(address) else { return };
        if let Some(runs) = self.runs.get_mut(&key) {
            runs.retain(|served| served.run != run);
            if runs.is_empty() {
                self.runs.remove(&key);
            }
        }
    }

    /// Those whose address can't be open beside this one.
    pub(super) fn in_the_way_of(&self, address: &Address) -> Vec<Served> {
        let runs = Key::of(address).and_then(|key| self.runs.get(&key));
        runs.into_iter()
            .flatten()
            .filter(|served| served.address.conflicts_with(address))
            .cloned()
            .collect()
    }
}
