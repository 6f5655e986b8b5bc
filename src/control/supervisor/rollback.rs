//! Back to a version that served.
//!
//! That version is prepared beside whatever else goes on with the app, so that nothing changes when it can't be had. Once it
//! is ready, what the file asks for *is* that version, to the plan and to all else: until the file changes.

use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::oneshot;
use tokio_util::task::AbortOnDropHandle;

use super::Supervisor;
use super::app::{App, Stage, Work};
use super::outcomes::{Ready, Report};
use super::steps::{caught, prepare};
use crate::control::history::History;
use crate::control::launcher::{Backup, LaunchError, Launcher, Version};
use crate::control::pin::{Hold, Pin};
use crate::control::refusal::Refusal;
use crate::control::status::{PinnedVersion, timestamp};
use crate::manifest::{AppId, AppSpec};
use crate::tasks;

/// Where the outcome goes; whoever asked may have gone.
pub(super) type Reply<T> = oneshot::Sender<Result<T, Refusal>>;

/// A rollback under way. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Rollback {
    /// A result of another generation is of no interest any more.
    generation: u64,
    reply: Reply<PinnedVersion>,
    _preparation: AbortOnDropHandle<()>,
}

/// A version that is ready to be gone back to.
pub(super) struct Found<P> {
    pin: Pin,
    ready: Ready<P>,
}

impl<L: Launcher> Supervisor<L> {
    /// `version` is a number, the beginning of a digest, or `None` for the one before the one that serves.
    pub(super) fn roll_back(&mut self, id: &AppId, version: Option<String>, reply: Reply<PinnedVersion>) {
        if let Err(refusal) = self.may_roll_back(id) {
            let _ = reply.send(Err(refusal));
            return;
        }
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(asked) = app.asked().cloned() else { return };
        app.generation += 1;
        let generation = app.generation;
        let pinned = app.hold.as_ref().map(|hold| hold.pin.version);
        let (path, text) = (app.path.clone(), app.text.clone());
        let (launcher, histories, reports) = (
            self.launcher.clone(),
            self.histories.clone(),
            self.reports.clone(),
        );
        let app_id = id.clone();
        let task = tasks::spawn("prepare rollback", async move {
            let find = async {
                let history = histories.read(&app_id).await;
                let version = history.choose(version.as_deref(), pinned);
                let version = version.map_err(|none| Refusal::NeverServed {
                    app: app_id.clone(),
                    reason: none.to_string(),
                })?;
                let pin = Pin::to(version, timestamp(SystemTime::now()), &text);
                let spec = pin
                    .apply(&asked, &path)
                    .map_err(|e| unavailable(&pin, &e.to_string()))?;
                let version = Version::Exactly(pin.digest.clone());
                let attempt = caught(prepare(launcher, app_id.clone(), Arc::new(spec), version)).await;
                match attempt {
                    Ok(Some(ready)) => Ok(Found { pin, ready }),
                    Ok(None) => Err(Refusal::Superseded),
                    Err(error) => Err(unavailable(&pin, &error.message)),
                }
            };
            let outcome = find.await;
            // The supervisor ends only after every app.
            let _ = reports.send(Report::RollbackReady {
                id: app_id,
                generation,
                outcome,
            });
        });
        // A newer one takes the place of one under way.
        app.rollback = Some(Rollback {
            generation,
            reply,
            _preparation: AbortOnDropHandle::new(task),
        });
    }

    fn may_roll_back(&self, id: &AppId) -> Result<(), Refusal> {
        let app = self.known(id)?;
        if !app.is_enabled() {
            return Err(Refusal::Disabled(id.clone()));
        }
        if app.spec.is_none() {
            return Err(Refusal::NoFile(id.clone()));
        }
        match self.claims.blocked_by(id) {
            None => Ok(()),
            Some(holder) => Err(Refusal::Waits {
                app: id.clone(),
                reason: self.taken_by(id, holder),
            }),
        }
    }

    fn known(&self, id: &AppId) -> Result<&App, Refusal> {
        if self.shutdown.is_some() {
            return Err(Refusal::Superseded);
        }
        let app = self.apps.get(id).filter(|app| app.present);
        app.map(|app| &**app)
            .ok_or_else(|| Refusal::NoSuchApp(id.clone()))
    }

    pub(super) fn rollback_ready(
        &mut self,
        id: &AppId,
        generation: u64,
        outcome: Result<Found<L::Prepared>, Refusal>,
    ) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(rollback) = app.rollback.take_if(|rollback| rollback.generation == generation) else {
            return;
        };
        match outcome {
            Err(refusal) => {
                tracing::warn!(app = %id, reason = %refusal, "the app is not rolled back");
                let _ = rollback.reply.send(Err(refusal));
            }
            // It is waited for, and then replaced by what is asked for from now on.
            Ok(found) if app.actual().activating => {
                if self.hold(id, found.pin, found.ready.spec) {
                    self.pinned(id, rollback.reply);
                }
            }
            Ok(found) => {
                app.give_up();
                app.work = Some(Work {
                    generation,
                    version: Version::Exactly(found.pin.digest.clone()),
                    fallback: false,
                    stage: Stage::Activating,
                    rollback: Some(rollback.reply),
                });
                self.hold(id, found.pin, found.ready.spec.clone());
                self.activate(id, generation, found.ready);
            }
        }
        self.look_after(id);
    }

    /// From now on this is what the app's file asks for.
    fn hold(&mut self, id: &AppId, pin: Pin, spec: Arc<AppSpec>) -> bool {
        let Some(app) = self.apps.get_mut(id) else {
            return false;
        };
        let Some(asked) = app.asked().cloned() else {
            return false;
        };
        tracing::info!(app = %id, version = pin.version, digest = pin.digest, "the app is rolled back");
        app.hold = Some(Hold { pin, asked });
        app.ask_for(spec);
        true
    }

    /// The version is in its place: that is noted, and then told.
    pub(super) fn pinned(&mut self, id: &AppId, reply: Reply<PinnedVersion>) {
        let hold = self.apps.get(id).and_then(|app| app.hold.as_ref());
        let Some(pin) = hold.map(|hold| hold.pin.clone()) else {
            let _ = reply.send(Err(Refusal::Superseded));
            return;
        };
        let shown = pin.shown();
        self.pins.put(id, pin, move || {
            let _ = reply.send(Ok(shown));
        });
    }

    /// The version could be prepared, but not be put in its place: all is as before.
    pub(super) fn not_pinned(&mut self, id: &AppId, reply: Reply<PinnedVersion>, error: &LaunchError) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let refusal = match app.hold.take() {
            None => Refusal::Superseded,
            Some(hold) => {
                app.ask_for(hold.asked);
                unavailable(&hold.pin, &error.message)
            }
        };
        tracing::warn!(app = %id, reason = %refusal, "the app is not rolled back");
        let _ = reply.send(Err(refusal));
    }

    /// The app's file is what it is asked for again.
    pub(super) fn undo(&mut self, id: &AppId) -> Result<(), Refusal> {
        self.known(id)?;
        let not_pinned = || Refusal::NotPinned(id.clone());
        let app = self.apps.get_mut(id).ok_or_else(not_pinned)?;
        let hold = app.hold.take().ok_or_else(not_pinned)?;
        tracing::info!(app = %id, version = hold.pin.version, "the app is no longer pinned");
        app.rollback = None;
        app.ask_for(hold.asked);
        self.pins.remove(id);
        self.look_after(id);
        Ok(())
    }

    /// What has served, and what was refused since.
    pub(super) fn history(&self, id: &AppId, reply: Reply<History>) {
        let refused = match self.known(id) {
            Ok(app) => app.refused.clone(),
            Err(refusal) => return drop(reply.send(Err(refusal))),
        };
        let (histories, id) = (self.histories.clone(), id.clone());
        tasks::spawn("read history", async move {
            let history = histories.read(&id).await;
            let _ = reply.send(Ok(History { refused, ..history }));
        });
    }

    /// A copy of the app's databases; also of an app that does not serve.
    pub(super) fn back_up(&self, id: &AppId, reply: Reply<Backup>) {
        let spec = self.known(id).and_then(|app| {
            let served = app.live.as_ref().map(|live| &live.spec);
            let spec = served.or(app.spec.as_ref());
            spec.cloned().ok_or_else(|| Refusal::NoFile(id.clone()))
        });
        let spec = match spec {
            Ok(spec) => spec,
            Err(refusal) => return drop(reply.send(Err(refusal))),
        };
        let (launcher, id) = (self.launcher.clone(), id.clone());
        tasks::spawn("back up app", async move {
            let outcome = caught(launcher.back_up(id.clone(), spec)).await;
            let outcome = outcome.map_err(|error| Refusal::NoBackup {
                app: id,
                reason: error.message,
            });
            let _ = reply.send(outcome);
        });
    }
}

fn unavailable(pin: &Pin, reason: &str) -> Refusal {
    Refusal::Unavailable {
        version: pin.version,
        digest: pin.digest.clone(),
        reason: reason.to_owned(),
    }
}
