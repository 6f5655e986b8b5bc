//! Files to claims and desired state.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::app::When;
use super::{App, SETTLED, Supervisor, Sweep};
use crate::control::change::{AppFile, Change, Update};
use crate::control::history::refuse;
use crate::control::launcher::{Launcher, Version};
use crate::control::status::timestamp;
use crate::control::taken::{named, taken};
use crate::manifest::{AppId, PullPolicy};

/// Apps that are looked after without a break.
const AT_ONCE: usize = 16;

impl<L: Launcher> Supervisor<L> {
    pub(super) async fn update(&mut self, update: Update) {
        if self.shutdown.is_some() {
            return;
        }
        match update {
            Update::Source(problem) => {
                self.sweep_later(problem.is_none());
                self.status.send_modify(|status| {
                    status.source_read |= problem.is_none();
                    status.source_problem = problem;
                });
            }
            Update::Batch(changes) => {
                let readable = self.status.borrow().source_problem.is_none();
                self.sweep_later(readable);
                self.file_changes.inc_by(changes.len() as u64);
                self.changes(changes).await;
                // After the changes: whoever sees it finds every app.
                self.status.send_if_modified(|status| {
                    let first = readable && !status.source_read;
                    status.source_read |= readable;
                    first
                });
                self.tell_listed();
            }
        }
    }

    /// Only a source that can be read says what is not there.
    fn sweep_later(&mut self, readable: bool) {
        self.sweep = match self.sweep {
            Sweep::Done => Sweep::Done,
            _ if readable => Sweep::At(Instant::now() + SETTLED),
            _ => Sweep::Waits,
        };
    }

    /// All that the batch gives up is given up before any is claimed, so that a batch may swap addresses.
    async fn changes(&mut self, changes: Vec<Change>) {
        let mut touched = BTreeSet::new();
        for (number, change) in changes.into_iter().enumerate() {
            breathe(number).await;
            let id = change.id().clone();
            match change {
                Change::Set { file, .. } => self.file(&id, *file).await,
                Change::Removed { .. } => self.removed(&id),
            }
            touched.insert(id);
        }
        self.claim_anew(touched).await;
    }

    async fn file(&mut self, id: &AppId, file: AppFile) {
        let app = self
            .apps
            .entry(id.clone())
            .or_insert_with(|| Box::new(App::new()));
        app.present = true;
        app.path = file.path;
        // Whatever went wrong, it is tried again at once.
        app.backoff.reset();
        app.crashes.reset();
        app.resolve_backoff.reset();
        app.retry = None;
        app.logged = None;
        app.fallback_tried = false;
        let spec = match file.spec {
            Ok(spec) => spec,
            Err(error) => {
                tracing::error!(app = %id, error = %error, serves_on = app.live.is_some(), "app file is in error");
                refuse(
                    &mut app.refused,
                    None,
                    &error.to_string(),
                    timestamp(SystemTime::now()),
                );
                app.file_problem = Some(error.to_string());
                if app.spec.is_none() {
                    // Waited for, since it decides who may have its address: one small file, and only after a restart.
                    app.remembered = self.last_good.recall(id).await;
                }
                return;
            }
        };
        app.file_problem = None;
        if app.text != file.text {
            // It was asked for over another file.
            app.rollback = None;
        }
        app.text = file.text;
        let (spec, hold) = self.pins.over(id, &app.path, &app.text, spec);
        app.hold = hold;
        if app.work.as_ref().is_some_and(|work| work.fallback) {
            app.give_up();
        }
        if app.spec.as_ref() != Some(&spec) {
            app.renew = None;
            app.trouble = None;
            app.resolve_trouble = None;
        } else if spec.pull != PullPolicy::IfNotPresent && app.live.is_some() {
            // An edit that changes nothing for the app is still an edit: a tag is resolved again.
            app.resolve_at = Some(When::after(Duration::ZERO));
        }
        app.spec = Some(spec);
        app.remembered = None;
    }

    fn removed(&mut self, id: &AppId) {
        let Some(app) = self.apps.get_mut(id) else { return };
        app.present = false;
        app.spec = None;
        app.hold = None;
        app.rollback = None;
        app.refused.clear();
        app.remembered = None;
        app.file_problem = None;
        app.trouble = None;
        app.renew = None;
        self.last_good.forget(id);
        self.histories.forget(id);
        self.pins.remove(id);
        self.launcher.forget(id);
    }

    /// Brings the claims of these apps up to date, and looks after every app that this may concern.
    async fn claim_anew(&mut self, ids: BTreeSet<AppId>) {
        let mut concerned = ids.clone();
        let mut moving = Vec::new();
        for id in &ids {
            let Some(app) = self.apps.get(id) else { continue };
            let wanted = app.claim(&self.claims);
            if wanted
                .as_ref()
                .is_some_and(|wanted| self.claims.claims(id, wanted))
            {
                continue;
            }
            moving.extend(wanted.map(|wanted| (id.clone(), wanted)));
            concerned.extend(self.claims.release(id).0);
        }
        for (id, claim) in moving {
            self.claims.claim(&id, claim);
        }
        self.claims.settle(&concerned);
        self.end_lingering();
        for (number, id) in concerned.iter().enumerate() {
            breathe(number).await;
            self.look_after(id);
        }
    }

    pub(super) fn redeploy(&mut self, id: &AppId) -> bool {
        let Some(app) = self.apps.get_mut(id) else {
            return false;
        };
        if self.shutdown.is_some() || app.spec.is_none() || !app.is_enabled() {
            return false;
        }
        app.give_up();
        app.renew = Some(Version::Fresh);
        app.backoff.reset();
        app.retry = None;
        self.look_after(id);
        true
    }

    /// In which words it is told that another app has what this one claims.
    pub(super) fn taken_by(&self, id: &AppId, holder: &AppId) -> String {
        let path = self.apps.get(holder).map(|app| app.path.as_path());
        let holder_named = named(holder, path.unwrap_or(Path::new("")));
        taken(self.claims.contested(id, holder), &holder_named)
    }
}

/// Lets others have the thread after some apps: there may be thousands, and requests wait.
async fn breathe(number: usize) {
    if number % AT_ONCE == AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}
