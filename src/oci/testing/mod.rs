//! Helpers for this room's tests: layouts made on the spot, and a registry that misbehaves.

pub(crate) mod layout;
pub(crate) mod stub;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use tempfile::TempDir;

use super::progress::{Progress, ProgressItem};
use super::{CredentialSources, Puller, PullerConfig, Store};

/// A layout that Spin's own command line pushed, kept in the repository.
pub(crate) fn fixture(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/fixtures/oci", name]
        .iter()
        .collect()
}

/// What was told of progress: one line for each pull that had something to fetch.
#[derive(Clone, Default)]
pub(crate) struct Told(pub(crate) Arc<Mutex<Vec<String>>>);

struct ToldItem {
    told: Told,
    what: String,
    bytes: Mutex<u64>,
}

impl Progress for Told {
    fn start(&self, what: &str, _: Option<u64>) -> Box<dyn ProgressItem> {
        Box::new(ToldItem {
            told: self.clone(),
            what: what.to_owned(),
            bytes: Mutex::new(0),
        })
    }
}

impl ProgressItem for ToldItem {
    fn advance(&self, bytes: u64) {
        *self.bytes.lock().unwrap() += bytes;
    }

    fn retract(&self, bytes: u64) {
        *self.bytes.lock().unwrap() -= bytes;
    }

    fn finish(self: Box<Self>) {
        let line = format!("{} {}", self.what, self.bytes.lock().unwrap());
        self.told.0.lock().unwrap().push(line);
    }
}

/// A puller with a store of its own that knows no credentials.
pub(crate) fn config() -> PullerConfig {
    PullerConfig {
        credentials: CredentialSources::default(),
        ..PullerConfig::default()
    }
}

pub(crate) fn puller(config: PullerConfig) -> (TempDir, Puller) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, Puller::new(store, config).unwrap())
}
