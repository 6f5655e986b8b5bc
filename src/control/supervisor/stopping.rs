//! Runs that end.
//!
//! A run whose place another app has been granted is not stopped at once: it *lingers*, behind its open socket, until
//! that app is ready and takes it. So addresses, hosts and paths move between files and no request is refused.

use std::time::Duration;

use super::Supervisor;
use super::app::Live;
use super::outcomes::Report;
use super::serving::Served;
use crate::control::history::VersionEnd;
use crate::control::launcher::Launcher;
use crate::manifest::{Address, AppId};

/// What a trigger task has, beyond the time for its requests, to abort what is left and end.
const FORCE_GRACE: Duration = Duration::from_secs(5);

impl<L: Launcher> Supervisor<L> {
    /// Takes a run out of wherever it is kept.
    pub(super) fn take_run(&mut self, owner: &AppId, run: u64) -> Option<Live> {
        let live = self
            .apps
            .get_mut(owner)
            .and_then(|app| app.live.take_if(|live| live.run == run));
        live.or_else(|| {
            let index = self.lingering.iter().position(|live| live.run == run)?;
            Some(self.lingering.swap_remove(index))
        })
    }

    /// Asks a run to end, and sees to it that it does.
    pub(super) fn drain(&mut self, live: Live) {
        self.serving.remove(live.run);
        if let Some(app) = self.apps.get_mut(&live.owner) {
            app.draining += 1;
        }
        let time = live.spec.drain_timeout.unwrap_or(self.settings.drain_timeout);
        let reports = self.reports.clone();
        self.drains.spawn(async move {
            if !live.stops.stop(time, FORCE_GRACE).await {
                tracing::warn!(app = %live.owner, run = live.run, "app does not end and is aborted");
            }
            // The supervisor may have ended.
            let _ = reports.send(Report::Drained { id: live.owner });
        });
    }

    pub(super) fn drained(&mut self, id: &AppId) {
        if let Some(app) = self.apps.get_mut(id) {
            // An app that came back under its old name does not count the runs of the one before.
            app.draining = app.draining.saturating_sub(1);
        }
        self.publish(id);
    }

    /// A run that its app has no use for any more.
    pub(super) fn retire(&mut self, live: Live) {
        if self.awaited_by(&live).next().is_some() {
            self.lingering.push(live)
        } else {
            self.drain(live)
        }
    }

    /// The other apps that are about to take a place of a run. An address that is merely in conflict can't be taken
    /// over: that socket must be closed first, see [`Supervisor::make_way`].
    fn awaited_by<'a>(&'a self, live: &'a Live) -> impl Iterator<Item = &'a AppId> {
        let spots = self.serving.held(live.run);
        let holders = spots.filter_map(move |spot| self.claims.granted(spot));
        holders.filter(move |holder| **holder != live.owner)
    }

    /// Stops the runs whose place nobody is going to take any more.
    pub(super) fn end_lingering(&mut self) {
        for live in std::mem::take(&mut self.lingering) {
            self.retire(live);
        }
    }

    /// Stops the lingering runs that wait for this app alone and whose own app is gone: a deleted app is to end, and
    /// whoever was to take its place is not about to.
    pub(super) fn end_orphans(&mut self, late: &AppId) {
        for live in std::mem::take(&mut self.lingering) {
            let wanted = self.apps.get(&live.owner).is_some_and(|app| app.is_enabled());
            if wanted || self.awaited_by(&live).any(|id| id != late) {
                self.lingering.push(live)
            } else {
                self.drain(live)
            }
        }
    }

    /// Stops the runs whose sockets keep this address from being opened, and can't be taken over.
    pub(super) fn make_way(&mut self, id: &AppId, address: &Address) {
        for served in self.serving.beside(address) {
            tracing::info!(app = %id, %address, old_app = %served.owner, "an address is closed to open a wider or narrower one");
            self.displace(id, &served);
        }
    }

    /// Ends a run whose place `by` takes.
    pub(super) fn displace(&mut self, by: &AppId, served: &Served) {
        let app = self.apps.get(&served.owner);
        let live = app.and_then(|app| app.live.as_ref());
        if served.owner != *by && live.is_some_and(|live| live.run == served.run) {
            self.histories.end(&served.owner, VersionEnd::Displaced);
        }
        if let Some(live) = self.take_run(&served.owner, served.run) {
            self.drain(live);
        }
        self.publish(&served.owner);
    }

    /// Stops whatever there is of the app. To be called again is harmless.
    pub(super) fn abort(&mut self, id: &AppId) {
        let Some(app) = self.apps.get_mut(id) else { return };
        app.give_up();
        app.rollback = None;
        app.trouble = None;
        app.waits = None;
        app.renew = None;
        app.retry = None;
        app.logged = None;
        app.resolve_at = None;
        app.resolve_trouble = None;
        if let Some(resolving) = app.resolving.take() {
            resolving.abort();
        }
        if let Some(live) = app.live.take() {
            tracing::info!(app = %id, "app is stopped");
            // The end of the process is no end of a version.
            if app.present && self.shutdown.is_none() {
                self.histories.end(id, VersionEnd::Stopped);
            }
            self.retire(live);
        }
    }

    /// Stops the app for good: the process ends.
    pub(super) fn stop(&mut self, id: &AppId) {
        self.abort(id);
        for live in std::mem::take(&mut self.lingering) {
            self.drain(live);
        }
        self.publish(id);
    }

    pub(super) fn stop_all(&mut self) {
        let ids: Vec<_> = self.apps.keys().cloned().collect();
        for id in ids {
            if let Some(app) = self.apps.get_mut(&id) {
                app.present = false;
            }
            self.stop(&id);
        }
    }
}
