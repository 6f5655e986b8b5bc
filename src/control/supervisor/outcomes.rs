//! What the supervisor's tasks report.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Supervisor;
use super::app::{Launched, Live, Stops, When};
use super::rollback::Found;
use super::runs::{Run, RunEnd};
use crate::control::histories::Begun;
use crate::control::history::{VersionEnd, refuse};
use crate::control::launcher::{
    self, Finished, LaunchError, LaunchErrorKind, Launcher, Preparation, ResolvedAddress, Running, Version,
};
use crate::control::refusal::Refusal;
use crate::control::status::timestamp;
use crate::manifest::{AppId, AppSpec};
use crate::tasks;

/// A run of this length is no part of a series of crashes.
const STEADY: Duration = Duration::from_secs(60);

/// A prepared app and where it goes.
pub(super) struct Ready<P> {
    pub(super) preparation: Preparation<P>,
    pub(super) address: ResolvedAddress,
    pub(super) spec: Arc<AppSpec>,
}

/// The end of a task.
pub(super) enum Report<P> {
    /// `Ok(None)`: there is no last good version.
    Prepared {
        id: AppId,
        generation: u64,
        outcome: Result<Option<Ready<P>>, LaunchError>,
    },
    Activated {
        id: AppId,
        generation: u64,
        spec: Arc<AppSpec>,
        revalidate: bool,
        outcome: Result<Running, LaunchError>,
    },
    /// An app's commands have ended.
    Finished { id: AppId, run: u64, finished: Finished },
    /// A run serves otherwise than its file asks, or does so no longer.
    Troubled {
        id: AppId,
        run: u64,
        trouble: Option<String>,
    },
    /// A stopped run is gone.
    Drained { id: AppId },
    Resolved {
        id: AppId,
        spec: Arc<AppSpec>,
        outcome: Result<String, LaunchError>,
    },
    /// The version that an app is to be rolled back to is ready, or refused.
    RollbackReady {
        id: AppId,
        generation: u64,
        outcome: Result<Found<P>, Refusal>,
    },
}

impl<L: Launcher> Supervisor<L> {
    pub(super) fn report(&mut self, report: Report<L::Prepared>) {
        match report {
            Report::Prepared {
                id,
                generation,
                outcome,
            } => self.prepared(&id, generation, outcome),
            Report::Activated {
                id,
                generation,
                spec,
                revalidate,
                outcome,
            } => {
                self.activated(&id, generation, spec, revalidate, outcome);
            }
            Report::Finished { id, run, finished } => self.finished(&id, run, finished),
            Report::Troubled { id, run, trouble } => self.troubled(&id, run, trouble),
            Report::Drained { id } => self.drained(&id),
            Report::Resolved { id, spec, outcome } => self.resolved(&id, &spec, outcome),
            Report::RollbackReady {
                id,
                generation,
                outcome,
            } => self.rollback_ready(&id, generation, outcome),
        }
    }

    fn prepared(
        &mut self,
        id: &AppId,
        generation: u64,
        outcome: Result<Option<Ready<L::Prepared>>, LaunchError>,
    ) {
        let Some(app) = self.apps.get_mut(id) else { return };
        // Given up, or superseded, while its report was under way.
        let Some(work) = app.work.as_ref().filter(|work| work.generation == generation) else {
            return;
        };
        let fallback = work.fallback;
        match outcome {
            Err(error) => self.failed(id, error),
            Ok(None) => app.work = None,
            Ok(Some(ready)) if fallback && !self.may_fall_back(id, &ready.spec) => {
                if let Some(app) = self.apps.get_mut(id) {
                    app.work = None;
                    // Without a file of its own it waits, and is tried again when the address is free.
                    app.fallback_tried = app.spec.is_some();
                }
            }
            Ok(Some(ready)) => self.activate(id, generation, ready),
        }
        // A retry may have come due while the last good version was tried.
        self.look_after(id);
    }

    /// Whether the last good version may have its place: its own claim, or one that happens to be free.
    fn may_fall_back(&self, id: &AppId, spec: &AppSpec) -> bool {
        self.claims.holder(id, &self.claims.of(spec)).is_none()
    }

    fn activated(
        &mut self,
        id: &AppId,
        generation: u64,
        spec: Arc<AppSpec>,
        revalidate: bool,
        outcome: Result<Running, LaunchError>,
    ) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(work) = app.work.take_if(|work| work.generation == generation) else {
            return;
        };
        match outcome {
            Err(error) => match work.rollback {
                Some(reply) => self.not_pinned(id, reply, &error),
                None => {
                    app.work = Some(work);
                    self.failed(id, error);
                }
            },
            Ok(running) => {
                self.serves(id, spec, running, work.fallback);
                if !work.fallback {
                    self.succeeded(id, revalidate);
                }
                if let Some(reply) = work.rollback {
                    self.pinned(id, reply);
                }
            }
        }
        if self.shutdown.is_some() {
            self.stop(id);
        }
        // The file may have changed meanwhile.
        self.look_after(id);
    }

    /// A new run is in its place; whoever was there is not any more.
    fn serves(&mut self, id: &AppId, spec: Arc<AppSpec>, running: Running, fallback: bool) {
        self.next_run += 1;
        let run = self.next_run;
        let claim = self.claims.shared(id, self.claims.of(&spec));
        // Before its place is taken: that may be all that the one before has.
        let replaces = self.apps.get(id).is_some_and(|app| app.live.is_some());
        for displaced in self.serving.add(run, id, claim) {
            self.displace(id, &displaced);
        }
        self.begins(id, &spec, &running.digest, fallback);
        // The launcher has told where it is served; what is not as the file says is told here.
        if fallback {
            tracing::warn!(app = %id, digest = running.digest, "the last good version is served");
        }
        let trouble = running.trouble.as_ref();
        let trouble = trouble.and_then(|trouble| trouble.borrow().clone());
        let told = running.trouble.map(|trouble| {
            let ends = CancellationToken::new();
            let guard = ends.clone().drop_guard();
            let report = pass_on(trouble, id.clone(), run, self.reports.clone());
            tasks::spawn("app trouble", async move {
                ends.run_until_cancelled(report).await;
            });
            guard
        });
        let stops = match running.run {
            launcher::Run::Passive(passive) => Stops::Passive(Launched(passive)),
            launcher::Run::Task { task, stop } => {
                let ended = CancellationToken::new();
                let abort = task.abort_handle();
                self.runs.push(Run {
                    owner: id.clone(),
                    run,
                    task,
                    ended: ended.clone(),
                });
                Stops::Task { abort, stop, ended }
            }
        };
        let live = Live {
            run,
            owner: id.clone(),
            spec,
            digest: self.texts.share(running.digest.into()),
            address: running.address,
            routes: self.routes.share(running.routes.into()),
            stops,
            began: tokio::time::Instant::now(),
            fallback,
            finished: None,
            trouble,
            _told: told,
        };
        if let Some(finished) = running.finished {
            let (owner, reports) = (id.clone(), self.reports.clone());
            tasks::spawn("app commands", async move {
                // An error means that the run was stopped before they ended.
                if let Ok(finished) = finished.await {
                    // The supervisor may have ended.
                    let _ = reports.send(Report::Finished {
                        id: owner,
                        run,
                        finished,
                    });
                }
            });
        }
        let Some(app) = self.apps.get_mut(id) else { return };
        app.redeploys += u64::from(replaces);
        if let Some(old) = app.live.replace(live) {
            self.retire(old);
        }
        self.end_lingering();
    }

    /// Notes which version begins to serve.
    fn begins(&mut self, id: &AppId, spec: &AppSpec, digest: &str, fallback: bool) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let same = |live: &Live| *live.digest == *digest && live.spec.reference == spec.reference;
        let refused = match fallback || app.live.as_ref().is_some_and(same) {
            true => app.refused.clone(),
            false => std::mem::take(&mut app.refused),
        };
        let begun = Begun {
            reference: spec.reference.to_string(),
            digest: digest.to_owned(),
            how: match app.hold {
                Some(_) => VersionEnd::RolledBack,
                None => VersionEnd::Replaced,
            },
            refused,
        };
        self.histories.begin(id, begun);
    }

    /// What the file asks for serves.
    fn succeeded(&mut self, id: &AppId, revalidate: bool) {
        let Some(app) = self.apps.get_mut(id) else { return };
        app.trouble = None;
        app.retry = None;
        app.logged = None;
        app.backoff.reset();
        self.resolve_later(id, revalidate);
    }

    /// An attempt failed: what serves goes on, and it is tried again.
    fn failed(&mut self, id: &AppId, error: LaunchError) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(work) = app.work.take() else { return };
        if work.fallback && app.spec.is_some() {
            // The file's own version is what is tried again.
            tracing::warn!(app = %id, error = %error, "the last good version can't be started either");
            return;
        }
        if work.fallback {
            app.fallback_tried = false;
        } else {
            app.renew = Some(work.version);
        }
        let delay = app.backoff.after(&error);
        let in_use = error.kind == LaunchErrorKind::AddressInUse;
        if !in_use && !work.fallback {
            let reference = app.spec.as_ref().map(|spec| spec.reference.to_string());
            refuse(
                &mut app.refused,
                reference,
                &error.message,
                timestamp(SystemTime::now()),
            );
        }
        self.trouble(id, error, delay);
        self.end_orphans(id);
        // The port is as taken for the last good version as for this one.
        if !in_use && !work.fallback {
            self.fall_back(id);
        }
    }

    fn finished(&mut self, id: &AppId, run: u64, finished: Finished) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let Some(live) = app.live.as_mut().filter(|live| live.run == run) else {
            return;
        };
        match &finished.outcome {
            Ok(()) => {
                tracing::info!(app = %id, "the app's commands have completed");
                self.last_good.complete(id, live.digest.to_string());
            }
            Err(reason) => tracing::error!(app = %id, reason, "a command of the app failed"),
        }
        live.finished = Some(finished);
        self.publish(id);
    }

    fn troubled(&mut self, id: &AppId, run: u64, trouble: Option<String>) {
        let live = self.apps.get_mut(id).and_then(|app| app.live.as_mut());
        if let Some(live) = live.filter(|live| live.run == run) {
            live.trouble = trouble;
            self.publish(id);
        }
    }

    /// A trigger task ended, asked or not.
    pub(super) fn ended(&mut self, RunEnd { owner, run, panicked }: RunEnd) {
        let id = &owner;
        let Some(live) = self.take_run(id, run) else {
            return;
        };
        self.serving.remove(run);
        let Some(app) = self.apps.get_mut(id).filter(|app| app.present) else {
            return;
        };
        if app.live.is_some() {
            // It only lingered.
            return;
        }
        if self.shutdown.is_none() {
            self.histories.end(id, VersionEnd::Crashed);
        }
        if live.began.elapsed() >= STEADY {
            app.crashes.reset();
        }
        app.fallback_tried = false;
        app.renew = Some(Version::Exactly(live.digest.to_string())).filter(|_| !live.fallback);
        let reason = if panicked { "panicked" } else { "ended by itself" };
        let error = LaunchError::other(format!("the app's task {reason}"));
        let delay = app.crashes.after(&error);
        if self.shutdown.is_none() {
            app.restarts += 1;
            self.trouble(id, error, delay);
        }
        self.publish(id);
    }

    /// Notes why the app is not as its file asks, and when that is tried again. The log has each reason once.
    pub(super) fn trouble(&mut self, id: &AppId, error: LaunchError, delay: Duration) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let retry = When::after(delay);
        if app.logged.as_ref() != Some(&error.message) {
            let next_try = humantime::format_duration(Duration::from_millis(delay.as_millis() as u64));
            let serves_on = app.live.is_some();
            tracing::error!(app = %id, error = %error, %next_try, serves_on, "app can't be started");
        }
        app.logged = Some(error.message.clone());
        app.trouble = Some(error);
        app.retry = Some(retry);
        self.wake(retry.instant, id);
    }
}

/// Reports each change of a run's trouble, until there can be none.
async fn pass_on<P>(
    mut trouble: watch::Receiver<Option<String>>,
    id: AppId,
    run: u64,
    reports: mpsc::UnboundedSender<Report<P>>,
) {
    while trouble.changed().await.is_ok() {
        let trouble = trouble.borrow_and_update().clone();
        let id = id.clone();
        // The supervisor may have ended.
        let _ = reports.send(Report::Troubled { id, run, trouble });
    }
}
