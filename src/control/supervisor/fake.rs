//! A launcher whose world the tests control and look at.

use std::collections::{BTreeMap, HashMap};
use std::future::pending;
use std::io::{Seek as _, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};

use crate::control::launcher::*;
use crate::manifest::{Address, AppId, AppSpec};

/// What goes on in the world.
#[derive(Debug, Default)]
pub(super) struct World {
    /// Who answers at each open address, or location of it: `app@reference#digest`.
    pub(super) open: BTreeMap<String, (u64, String)>,
    /// Addresses that were open and are not any more.
    pub(super) closed: Vec<String>,
    /// References whose preparation fails so many times.
    pub(super) failing: HashMap<String, usize>,
    /// References whose preparation never ends.
    pub(super) stuck: Vec<String>,
    /// References whose preparation panics.
    pub(super) cursed: Vec<String>,
    /// Addresses that another process has.
    pub(super) foreign: Vec<String>,
    /// Where each reference points; "sha256:1" unless told.
    pub(super) digests: HashMap<String, String>,
    /// Where each reference pointed when it was asked before; "sha256:1" unless told.
    pub(super) stored: HashMap<String, String>,
    /// Registry answers to questions fail.
    pub(super) offline: bool,
    /// Every preparation: `app reference version`.
    pub(super) prepared: Vec<String>,
    /// References that are commands, and how those end.
    pub(super) commands: HashMap<String, Result<(), String>>,
    /// Commands that were run.
    pub(super) commanded: usize,
    pub(super) resolved: usize,
    pub(super) forgotten: Vec<AppId>,
    /// Each time it was told of all apps.
    pub(super) retained: Vec<Vec<AppId>>,
    /// Runs that take this long to drain.
    pub(super) drain: Duration,
    pub(super) draining_for: Vec<Duration>,
    runs: u64,
    crashes: HashMap<String, Arc<Notify>>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Fake(Arc<Mutex<World>>);

pub(super) struct Prepared {
    digest: String,
}

impl Fake {
    pub(super) fn world<T>(&self, look: impl FnOnce(&mut World) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Who answers at an address.
    pub(super) fn answer(&self, address: &str) -> Option<String> {
        self.world(|world| world.open.get(address).map(|(_, who)| who.clone()))
    }

    /// The app's task ends without being asked.
    pub(super) fn crash(&self, id: &str) {
        self.world(|world| world.crashes[id].notify_one());
    }

    fn digest(&self, spec: &AppSpec) -> String {
        pointed(spec, &self.world(|world| world.digests.clone()))
    }

    fn stored(&self, spec: &AppSpec) -> String {
        pointed(spec, &self.world(|world| world.stored.clone()))
    }

    fn detach(&self, places: &[String], run: u64) {
        self.world(|world| {
            for place in places {
                if world.open.get(place).is_some_and(|(behind, _)| *behind == run) {
                    world.open.remove(place);
                    world.closed.push(place.clone());
                }
            }
        });
    }
}

fn pointed(spec: &AppSpec, digests: &HashMap<String, String>) -> String {
    let pinned = spec.reference.digest().map(|digest| digest.to_string());
    let pointed = pinned.or_else(|| digests.get(&spec.reference.to_string()).cloned());
    pointed.unwrap_or_else(|| "sha256:1".to_owned())
}

/// Runs the command of a reference that has one, unless that is done.
fn finished(world: &mut World, reference: &str, done: bool) -> Option<oneshot::Receiver<Finished>> {
    let outcome = world.commands.get(reference)?.clone();
    if !done {
        world.commanded += 1;
    }
    let (told, finished) = oneshot::channel();
    let _ = told.send(Finished { outcome, whole: true });
    Some(finished)
}

impl Launcher for Fake {
    type Prepared = Prepared;

    async fn prepare(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        version: Version,
    ) -> Result<Preparation<Prepared>, LaunchError> {
        let reference = spec.reference.to_string();
        let (fails, stuck) = self.world(|world| {
            world.prepared.push(format!("{id} {reference} {version:?}"));
            let failing = world.failing.entry(reference.clone()).or_default();
            let fails = *failing > 0;
            *failing = failing.saturating_sub(1);
            (fails, world.stuck.contains(&reference))
        });
        if self.world(|world| world.cursed.contains(&reference)) {
            panic!("cursed");
        }
        if fails {
            return Err(LaunchError::other(format!("{reference} can't be fetched")));
        }
        if stuck {
            pending::<()>().await;
        }
        let revalidate = version == Version::Stored;
        let digest = match version {
            Version::Exactly(digest) => digest,
            Version::Stored => self.stored(&spec),
            Version::Fresh => self.digest(&spec),
        };
        Ok(Preparation {
            prepared: Prepared {
                digest: digest.clone(),
            },
            digest,
            revalidate,
            once: self.world(|world| world.commands.contains_key(&reference)),
        })
    }

    async fn activate(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        address: ResolvedAddress,
        prepared: Prepared,
        done: bool,
    ) -> Result<Running, LaunchError> {
        let address = match address {
            ResolvedAddress::Absent => format!("-{id}"),
            address => address.to_string(),
        };
        let places: Vec<String> = spec
            .site
            .locations()
            .map(|location| format!("{address} {location}").trim_end().to_owned())
            .collect();
        let who = format!("{id}@{}#{}", spec.reference, prepared.digest);
        let crash = Arc::new(Notify::new());
        let run = self.world(|world| {
            let parsed = |text: &str| match text.starts_with('-') {
                true => Address::Absent,
                false => Address::parse(text.split(' ').next().unwrap(), "/".as_ref()).unwrap(),
            };
            let clash = |open: &String| {
                parsed(open) != parsed(&address) && parsed(open).conflicts_with(&parsed(&address))
            };
            if world.foreign.contains(&address) || world.open.keys().any(clash) {
                let error = LaunchError::other(format!("{address} is in use"));
                return Err(LaunchError {
                    kind: LaunchErrorKind::AddressInUse,
                    ..error
                });
            }
            world.runs += 1;
            for place in &places {
                world.open.insert(place.clone(), (world.runs, who.clone()));
            }
            world.crashes.insert(id.to_string(), Arc::clone(&crash));
            Ok(world.runs)
        })?;
        let (stop, stopped) = oneshot::channel();
        let fake = self.clone();
        let task = tokio::spawn(async move {
            tokio::select! {
                time = stopped => {
                    fake.detach(&places, run);
                    let drain = fake.world(|world| {
                        world.draining_for.extend(time);
                        world.drain
                    });
                    tokio::time::sleep(drain).await;
                }
                () = crash.notified() => fake.detach(&places, run),
            }
        });
        let routes = vec!["/...".to_owned()];
        Ok(Running {
            digest: prepared.digest,
            address,
            routes,
            run: Run::Task { task, stop },
            finished: self.world(|world| finished(world, &spec.reference.to_string(), done)),
            trouble: None,
        })
    }

    async fn resolve(&self, spec: Arc<AppSpec>) -> Result<String, LaunchError> {
        let offline = self.world(|world| {
            world.resolved += 1;
            world.offline
        });
        if offline {
            Err(LaunchError::other("the registry does not answer"))
        } else {
            Ok(self.digest(&spec))
        }
    }

    async fn back_up(&self, id: AppId, _: Arc<AppSpec>) -> Result<Backup, LaunchError> {
        let mut tar = tempfile::tempfile().unwrap();
        tar.write_all(id.as_str().as_bytes()).unwrap();
        tar.rewind().unwrap();
        let size = id.as_str().len() as u64;
        Ok(Backup { tar, size })
    }

    fn retain(&self, ids: Vec<AppId>) {
        self.world(|world| world.retained.push(ids));
    }

    fn forget(&self, id: &AppId) {
        self.world(|world| world.forgotten.push(id.clone()));
    }
}
