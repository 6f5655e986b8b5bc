//! Files to claims and desired state.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::app::When;
use super::{App, SETTLED, Supervisor, Sweep};
use crate::control::change::{AppFile, Change, Update};
use crate::control::launcher::{Launcher, Version};
use crate::control::meeting::Meeting;
use crate::manifest::{AppId, PullPolicy};

impl<L: Launcher> Supervisor<L> {
    pub(super) async fn update(&mut self, update: Update) {
        if self.shutdown.is_some() {
            return;
        }
        match update {
            Update::Source(problem) => {
                self.sweep_later(problem.is_none());
                self.status.send_modify(|status| status.source_problem = problem);
            }
            Update::Batch(changes) => {
                let readable = self.status.borrow().source_problem.is_none();
                self.sweep_later(readable);
                self.changes(changes).await;
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
        for change in changes {
            let id = change.id().clone();
            match change {
                Change::Set { file, .. } => self.file(&id, *file).await,
                Change::Removed { .. } => self.removed(&id),
            }
            touched.insert(id);
        }
        self.claim_anew(touched);
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
                app.file_problem = Some(error.to_string());
                if app.spec.is_none() {
                    // Waited for, since it decides who may have its address: one small file, and only after a restart.
                    app.remembered = self.last_good.recall(id).await;
                }
                return;
            }
        };
        app.file_problem = None;
        app.text = file.text;
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
        app.remembered = None;
        app.file_problem = None;
        app.trouble = None;
        app.renew = None;
        self.last_good.forget(id);
        self.launcher.forget(id);
    }

    /// Brings the claims of these apps up to date, and looks after every app that this may concern.
    fn claim_anew(&mut self, ids: BTreeSet<AppId>) {
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
        for id in &concerned {
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
        let file = self
            .apps
            .get(holder)
            .map_or_else(PathBuf::new, |app| app.path.clone());
        let held = format!("held by app {holder} ({})", file.display());
        let free = "it starts by itself when that is free";
        let Some((own, theirs)) = self.claims.contested(id, holder) else {
            return format!("its address is {held}; {free}");
        };
        let (address, location) = (&own.address, own.location.to_string());
        if *address != theirs.address {
            let other = &theirs.address;
            return format!(
                "address {address} can't be open beside {other}, which is {held}; {free}, and shares an address that is written in the same way"
            );
        }
        if own.location != theirs.location && !own.can_be_met_beside(theirs) {
            return match (&own.meeting, &theirs.meeting) {
                (Meeting::Secure { client_ca: own_ca }, Meeting::Secure { client_ca }) => {
                    let host = own.location.host.as_ref();
                    let host = host.map_or_else(|| "every host".to_owned(), ToString::to_string);
                    let (held_by, asked) = (demanded(client_ca.as_deref()), demanded(own_ca.as_deref()));
                    format!(
                        "clients of {host} at address {address} are met with {held_by} for what is {held}, and not at the same time with {asked}, since TLS knows no paths; {free}, and shares the host if both have the same \"client_ca\" in \"tls\", written in the same way"
                    )
                }
                (own, _) => {
                    let (other, one) = match own.is_secure() {
                        true => ("plain http", "TLS"),
                        false => ("TLS", "plain http"),
                    };
                    format!(
                        "address {address} speaks {other} for what is {held}, and can't speak {one} too; {free}, and shares the address if both have \"tls\" or neither"
                    )
                }
            };
        }
        let share = "with a \"host\" or \"path\" of its own it shares the address";
        match location.as_str() {
            "" => format!("address {address} is {held}; {free}, and {share}"),
            location => format!("{location} at address {address} is {held}; {free}, and {share}"),
        }
    }
}

/// What clients have to show.
fn demanded(client_ca: Option<&Path>) -> String {
    client_ca.map_or_else(
        || "no \"client_ca\"".to_owned(),
        |file| format!("the \"client_ca\" {}", file.display()),
    )
}
