//! Whether a tag has moved: asked in the background, by the app's pull policy, while the app serves.

use std::sync::Arc;
use std::time::Duration;

use super::Supervisor;
use super::app::When;
use super::outcomes::Report;
use super::steps::caught;
use crate::control::launcher::{LaunchError, Launcher, Version};
use crate::manifest::{AppId, AppSpec, PullPolicy};
use crate::tasks;

impl<L: Launcher> Supervisor<L> {
    /// Plans the next question, after a start (`unasked`: from the stored digest) or an answer.
    pub(super) fn resolve_later(&mut self, id: &AppId, unasked: bool) {
        let Some(app) = self.apps.get_mut(id) else { return };
        app.resolve_at = None;
        let Some(spec) = app.spec.as_ref().filter(|spec| !spec.reference.is_pinned()) else {
            return;
        };
        let delay = match spec.pull {
            PullPolicy::IfNotPresent => return,
            PullPolicy::Always | PullPolicy::Every(_) if unasked => Duration::ZERO,
            PullPolicy::Always => return,
            PullPolicy::Every(interval) => interval,
        };
        self.resolve_after(id, delay);
    }

    fn resolve_after(&mut self, id: &AppId, delay: Duration) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let when = When::after(delay);
        app.resolve_at = Some(when);
        self.wake(when.instant, id);
    }

    pub(super) fn resolve_when_due(&mut self, id: &AppId) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let due = app.resolve_at.is_some_and(|when| when.has_come());
        // While another version is on its way, that one's start plans the question anew.
        let busy = app.work.is_some() || app.resolving.is_some();
        let Some(live) = app.live.as_ref().filter(|live| due && !busy && !live.fallback) else {
            return;
        };
        app.resolve_at = None;
        let (launcher, reports) = (self.launcher.clone(), self.reports.clone());
        let (id, spec) = (id.clone(), Arc::clone(&live.spec));
        let task = tasks::spawn("resolve reference", async move {
            let outcome = caught(launcher.resolve(Arc::clone(&spec))).await;
            // The supervisor may have ended.
            let _ = reports.send(Report::Resolved { id, spec, outcome });
        });
        app.resolving = Some(task.abort_handle());
    }

    pub(super) fn resolved(&mut self, id: &AppId, spec: &Arc<AppSpec>, outcome: Result<String, LaunchError>) {
        let Some(app) = self.apps.get_mut(id) else { return };
        app.resolving = None;
        let current = app.spec.as_ref() == Some(spec) && self.shutdown.is_none();
        if let Some(live) = app.live.as_ref().filter(|live| current && live.spec == *spec) {
            match outcome {
                Ok(digest) => {
                    app.resolve_backoff.reset();
                    app.resolve_trouble = None;
                    if app.work.is_none() {
                        let moved = *digest != *live.digest;
                        if moved {
                            tracing::info!(app = %id, reference = %spec.reference, old = &*live.digest, new = digest, "the reference has moved");
                            app.renew = Some(Version::Exactly(digest));
                            app.retry = None;
                        } else if let Some(Version::Exactly(_)) = app.renew {
                            // It has moved back to what serves: what could not be had is not asked for any more.
                            app.renew = None;
                            app.retry = None;
                            app.trouble = None;
                        }
                    }
                    self.resolve_later(id, false);
                }
                Err(error) => self.unresolved(id, &error),
            }
        }
        self.look_after(id);
    }

    /// The stored version serves on, as it is meant to; only whether there is a newer one is not known.
    fn unresolved(&mut self, id: &AppId, error: &LaunchError) {
        let Some(app) = self.apps.get_mut(id) else { return };
        let delay = app.resolve_backoff.after(error);
        let reason =
            format!("the stored version is served, since its reference can't be resolved again: {error}");
        if app.resolve_trouble.as_ref() != Some(&reason) {
            tracing::warn!(app = %id, reason, "the reference can't be resolved again");
        }
        app.resolve_trouble = Some(reason);
        self.resolve_after(id, delay);
    }
}
