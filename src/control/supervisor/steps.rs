//! The plan's steps, carried out.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use futures::FutureExt as _;

use super::Supervisor;
use super::app::{Stage, Work};
use super::outcomes::{Ready, Report};
use crate::control::claim::Claim;
use crate::control::last_good::Kept;
use crate::control::launcher::{LaunchError, Launcher, ResolvedAddress, Version};
use crate::control::plan::{Desired, Step, decide};
use crate::control::resolve::resolve;
use crate::manifest::{AppId, AppSpec};
use crate::tasks;

impl<L: Launcher> Supervisor<L> {
    /// Does what there is to do about one app now.
    pub(super) fn look_after(&mut self, id: &AppId) {
        if self.shutdown.is_none() {
            self.retry_when_due(id);
            self.step(id);
            self.resolve_when_due(id);
        }
        self.publish(id);
    }

    fn retry_when_due(&mut self, id: &AppId) {
        if let Some(app) = self.apps.get_mut(id)
            && app.retry.is_some_and(|retry| retry.has_come())
        {
            app.retry = None;
        }
    }

    fn step(&mut self, id: &AppId) {
        let Some(app) = self.apps.get(id) else { return };
        if !app.is_enabled() && !app.actual().activating {
            // Also what the plan does not know of: a last good version on its way.
            return self.abort(id);
        }
        let step = decide(app.desired(), app.actual(), self.claims.blocked_by(id));
        let known = app.desired() != Desired::Unknown;
        let renew = known && app.renew.is_some() && app.is_enabled();
        // A fallback on its way is not given up for a retry that is as likely to fail as the first try.
        let rests = app.retry.is_some() || app.work.as_ref().is_some_and(|work| work.fallback);
        match step {
            Step::Keep if app.actual().activating => {}
            Step::Keep if !known && app.retry.is_some() => {}
            Step::Keep if !known => self.fall_back(id),
            Step::Keep if renew && !rests && app.work.is_none() => self.begin(id),
            Step::Keep => self.clear_wait(id),
            Step::Start | Step::Restart if rests => self.clear_wait(id),
            Step::Start | Step::Restart => self.begin(id),
            Step::GiveUp => {
                self.clear_wait(id);
                self.settled(id);
            }
            Step::Abort => self.abort(id),
            Step::Wait { holder } => self.wait(id, &holder),
        }
    }

    /// What serves is what is asked for.
    fn settled(&mut self, id: &AppId) {
        if let Some(app) = self.apps.get_mut(id) {
            app.give_up();
            app.trouble = None;
            app.logged = None;
        }
    }

    fn clear_wait(&mut self, id: &AppId) {
        if let Some(app) = self.apps.get_mut(id) {
            app.waits = None;
        }
    }

    fn wait(&mut self, id: &AppId, holder: &AppId) {
        let reason = self.taken_by(id, holder);
        if let Some(app) = self.apps.get_mut(id) {
            app.give_up();
            app.retry = None;
            app.trouble = None;
            if app.waits.as_ref() != Some(&reason) {
                tracing::warn!(app = %id, reason, "app waits for its address");
            }
            app.waits = Some(reason);
        }
    }

    fn begin(&mut self, id: &AppId) {
        self.clear_wait(id);
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(spec) = app.spec.clone() else { return };
        app.give_up();
        app.generation += 1;
        let generation = app.generation;
        let version = app.renew.take().unwrap_or(Version::Stored);
        let (launcher, app_id, what) = (self.launcher.clone(), id.clone(), Arc::clone(&spec));
        let wanted = version.clone();
        let attempt = || prepare(launcher, app_id, what, wanted);
        let abort = self.spawn_preparation(id, generation, attempt);
        if let Some(app) = self.apps.get_mut(id) {
            let stage = Stage::Preparing {
                spec: Some(spec),
                abort,
            };
            app.work = Some(Work {
                generation,
                version,
                fallback: false,
                stage,
                rollback: None,
            });
        }
    }

    /// Tries what served before the restart, once for each file: what the file asks for can't be had.
    pub(super) fn fall_back(&mut self, id: &AppId) {
        let Some(app) = self.apps.get(id) else { return };
        if app.fallback_tried || app.live.is_some() || app.work.is_some() || !app.is_enabled() {
            return;
        }
        let holder = self.claims.blocked_by(id).filter(|_| app.spec.is_none());
        if let Some(holder) = holder.cloned() {
            return self.wait(id, &holder);
        }
        self.clear_wait(id);
        let Some(app) = self.apps.get_mut(id) else { return };
        app.fallback_tried = true;
        app.generation += 1;
        let generation = app.generation;
        let (launcher, last_good, app_id) = (self.launcher.clone(), self.last_good.clone(), id.clone());
        let remembered = app.remembered.clone();
        let attempt = || async move {
            let remembered = match remembered {
                Some(remembered) => Some(remembered),
                None => last_good.recall(&app_id).await,
            };
            let Some((spec, digest)) = remembered else {
                return Ok(None);
            };
            if !spec.enabled {
                return Ok(None);
            }
            prepare(launcher, app_id, spec, Version::Exactly(digest)).await
        };
        let abort = self.spawn_preparation(id, generation, attempt);
        if let Some(app) = self.apps.get_mut(id) {
            let stage = Stage::Preparing { spec: None, abort };
            app.work = Some(Work {
                generation,
                version: Version::Stored,
                fallback: true,
                stage,
                rollback: None,
            });
        }
    }

    /// One owned task for each app, so that a slow registry delays no other; aborting it is how it is given up.
    fn spawn_preparation<F>(
        &self,
        id: &AppId,
        generation: u64,
        attempt: impl FnOnce() -> F + Send + 'static,
    ) -> tokio::task::AbortHandle
    where
        F: Future<Output = Result<Option<Ready<L::Prepared>>, LaunchError>> + Send + 'static,
    {
        let (id, reports, lane) = (id.clone(), self.reports.clone(), self.lane.clone());
        let task = tasks::spawn("prepare app", async move {
            let outcome = lane.run(|| caught(attempt())).await;
            // The supervisor ends only after every app.
            let _ = reports.send(Report::Prepared {
                id,
                generation,
                outcome,
            });
        });
        task.abort_handle()
    }

    /// Puts a prepared app behind its address. Its own task, since it is not to be dropped half-way.
    pub(super) fn activate(&mut self, id: &AppId, generation: u64, ready: Ready<L::Prepared>) {
        for address in Claim::of(&ready.spec).addresses() {
            self.make_way(id, address);
        }
        let Some(app) = self.apps.get_mut(id) else { return };
        let (mut fallback, mut asked_anew) = (false, false);
        if let Some(work) = &mut app.work {
            work.stage = Stage::Activating;
            fallback = work.fallback;
            asked_anew = work.version == Version::Fresh;
        }
        // The text is that of the newest file, which may be newer than what is activated.
        let is_newest = !fallback && app.spec.as_ref() == Some(&ready.spec);
        let text = is_newest.then(|| (app.path.clone(), app.text.to_string()));
        let reference = app.hold.as_ref().map(|hold| hold.pin.reference.clone());
        let last_good = self.last_good.clone();
        let (launcher, reports, id) = (self.launcher.clone(), self.reports.clone(), id.clone());
        let Ready {
            preparation,
            address,
            spec,
        } = ready;
        tasks::spawn("activate app", async move {
            let revalidate = preparation.revalidate;
            let done = match &text {
                Some((_, text)) if preparation.once && !asked_anew => {
                    last_good.has_completed(&id, text, &preparation.digest).await
                }
                _ => false,
            };
            let prepared = preparation.prepared;
            let activation = launcher.activate(id.clone(), Arc::clone(&spec), address, prepared, done);
            let outcome = caught(activation).await;
            // Noted before it is told: whoever sees the app running may count on it after a crash.
            if let (Ok(running), Some((path, text))) = (&outcome, text) {
                last_good
                    .keep(
                        &id,
                        Kept {
                            path,
                            text,
                            digest: running.digest.clone(),
                            completed: done,
                            reference,
                        },
                    )
                    .await;
            }
            // The supervisor waits for this report before it ends.
            let _ = reports.send(Report::Activated {
                id,
                generation,
                spec,
                revalidate,
                outcome,
            });
        });
    }
}

pub(super) async fn prepare<L: Launcher>(
    launcher: L,
    id: AppId,
    spec: Arc<AppSpec>,
    version: Version,
) -> Result<Option<Ready<L::Prepared>>, LaunchError> {
    let address = resolve(&spec.address);
    let preparation = launcher.prepare(id, Arc::clone(&spec), version);
    let (address, preparation): (ResolvedAddress, _) = tokio::try_join!(address, preparation)?;
    Ok(Some(Ready {
        preparation,
        address,
        spec,
    }))
}

/// One app's panic is an error of that app.
pub(super) async fn caught<T>(
    attempt: impl Future<Output = Result<T, LaunchError>>,
) -> Result<T, LaunchError> {
    AssertUnwindSafe(attempt)
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let reason = tasks::panic_text(panic.as_ref());
            Err(LaunchError::other(format!("a defect of this program: {reason}")))
        })
}
