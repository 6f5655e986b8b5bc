//! Owns the actual state: every running app, every attempt at one, every reason against one.
//!
//! One task owns it all and is never blocked: what takes time is a task of its own, which reports back. So one app's
//! slow registry, panic or crash is that app's alone.
//!
//! | file | what happens there |
//! |---|---|
//! | `changes.rs` | files to claims and desired state |
//! | `steps.rs` | the plan's steps: prepare, activate, give up |
//! | `outcomes.rs` | what the tasks report |
//! | `stopping.rs` | runs that end: drained, lingering, displaced |
//! | `resolving.rs` | whether a tag has moved |
//! | `runs.rs` | the ends of runs |
//! | `lane.rs` | how many are prepared at once |
//! | `rehearsing.rs` | what would be done with other files |
//! | `rollback.rs` | back to a version that served |
//! | `app.rs`, `serving.rs` | what is known of an app, of an address |

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use prometheus_client::metrics::counter::Counter;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use super::change::Update;
use super::claims::Claims;
use super::histories::Histories;
use super::history::History;
use super::last_good::LastGood;
use super::launcher::{Backup, Launcher};
use super::pin::Pins;
use super::refusal::Refusal;
use super::rehearsal::{Drafts, Rehearsed};
use super::shared::Shared;
use super::status::{AppStatus, PinnedVersion, Status};
use crate::manifest::{Address, AppId};
use crate::tasks;

mod app;
mod changes;
mod lane;
mod outcomes;
mod rehearsing;
mod resolving;
mod rollback;
mod runs;
mod serving;
mod steps;
mod stopping;

use app::{App, Live};
use lane::Lane;
use outcomes::Report;
use rollback::Reply;
use runs::Run;
use serving::Serving;

/// Commands that wait for the supervisor.
const QUEUED_COMMANDS: usize = 16;
/// How long nothing has to happen after the first listing before an app without a file counts as deleted while nobody
/// watched: much longer than a source waits with a file that may be half-written.
const SETTLED: Duration = Duration::from_secs(30);

/// What the supervisor is told once.
#[derive(Debug, Clone)]
pub struct SupervisorSettings {
    /// How long requests in flight may take at a swap or stop, where the app's file says nothing.
    pub drain_timeout: Duration,
    /// Where the last good version of each app is kept; of this source only, since it is kept by the app's name.
    pub last_good_dir: PathBuf,
    /// Where the history of each app is kept; of this source only, too.
    pub history_dir: PathBuf,
    /// Where it is kept which apps are pinned to which version.
    pub pins_file: PathBuf,
    /// Where every app is met by TLS, with the daemon's certificates if it has none of its own.
    pub tls_addresses: Vec<Address>,
}

enum Command {
    Redeploy(AppId, oneshot::Sender<bool>),
    Rehearse(Drafts, oneshot::Sender<Rehearsed>),
    RollBack(AppId, Option<String>, Reply<PinnedVersion>),
    Undo(AppId, Reply<()>),
    History(AppId, Reply<History>),
    BackUp(AppId, Reply<Backup>),
    /// Answered at once.
    Answer(oneshot::Sender<()>),
    /// Answered once the first listing has been handled.
    Listed(oneshot::Sender<()>),
    Shutdown(oneshot::Sender<()>),
}

/// Gives the supervisor commands. Clones command the same one.
#[derive(Debug, Clone)]
pub struct SupervisorHandle {
    commands: mpsc::Sender<Command>,
    file_changes: Counter,
}

impl SupervisorHandle {
    /// Counts new, changed and removed app files; those found at the start, too.
    pub fn file_changes(&self) -> &Counter {
        &self.file_changes
    }

    /// Resolves the app's reference again and deploys what it points at, as if it were new. `false`: there is no such
    /// app, or it is switched off, or has no valid file.
    pub async fn redeploy(&self, id: AppId) -> bool {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Redeploy(id, reply)).await.is_ok() && answer.await.unwrap_or(false)
    }

    /// What would be done if the files were these. `None`: the supervisor has ended.
    pub async fn rehearse(&self, drafts: Drafts) -> Option<Rehearsed> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Rehearse(drafts, reply)).await.ok()?;
        answer.await.ok()
    }

    /// Pins the app to a version that served: its number, the beginning of its digest, or `None` for the one before the one
    /// that serves. Returns when that serves, and will after a restart.
    ///
    /// # Errors
    /// It never served, or can't be had; then nothing has changed.
    pub async fn roll_back(&self, id: AppId, version: Option<String>) -> Result<PinnedVersion, Refusal> {
        self.ask(|reply| Command::RollBack(id, version, reply)).await
    }

    /// Ends the app's pin: what its file asks for is deployed.
    ///
    /// # Errors
    /// It is not pinned.
    pub async fn undo_rollback(&self, id: AppId) -> Result<(), Refusal> {
        self.ask(|reply| Command::Undo(id, reply)).await
    }

    /// The versions of the app that have served.
    ///
    /// # Errors
    /// There is no such app.
    pub async fn history(&self, id: AppId) -> Result<History, Refusal> {
        self.ask(|reply| Command::History(id, reply)).await
    }

    /// A copy of the app's databases, which may be in use.
    ///
    /// # Errors
    /// There is nothing to copy, or it can't be copied.
    pub async fn back_up(&self, id: AppId) -> Result<Backup, Refusal> {
        self.ask(|reply| Command::BackUp(id, reply)).await
    }

    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Refusal> {
        let (reply, answer) = oneshot::channel();
        // Errors mean that it has ended, or has given up what was asked for.
        let sent = self.commands.send(command(reply)).await;
        sent.map_err(|_| Refusal::Superseded)?;
        answer.await.unwrap_or(Err(Refusal::Superseded))
    }

    /// Whether the supervisor does its work: the question waits behind all that it has to do.
    pub async fn answers(&self) -> bool {
        self.hear(Command::Answer).await
    }

    /// Returns when the source has been read for the first time and every app in it is known; `false` when the supervisor
    /// ends before.
    pub async fn listed(&self) -> bool {
        self.hear(Command::Listed).await
    }

    async fn hear(&self, command: impl FnOnce(oneshot::Sender<()>) -> Command) -> bool {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.is_ok() && answer.await.is_ok()
    }

    /// Stops every app after its requests in flight, at the latest after its drain timeout. Returns when all have
    /// ended and the supervisor with them.
    pub async fn shutdown(&self) {
        let (reply, answer) = oneshot::channel();
        if self.commands.send(Command::Shutdown(reply)).await.is_ok() {
            // An error means that it has ended already.
            let _ = answer.await;
        }
    }
}

/// The removal of what earlier runs left.
enum Sweep {
    /// The source has not been read yet, or can't be.
    Waits,
    At(Instant),
    Done,
}

/// The owner task.
pub struct Supervisor<L: Launcher> {
    launcher: L,
    settings: SupervisorSettings,
    /// Boxed: nodes of the map are half empty.
    apps: BTreeMap<AppId, Box<App>>,
    claims: Claims,
    serving: Serving,
    /// Runs whose app has moved on, and whose address another app is about to take over.
    lingering: Vec<Live>,
    /// When to look at an app again.
    timers: BTreeSet<(Instant, AppId)>,
    /// Every run that has not ended.
    runs: FuturesUnordered<Run>,
    drains: JoinSet<()>,
    lane: Lane,
    last_good: LastGood,
    last_good_task: JoinHandle<()>,
    histories: Histories,
    histories_task: JoinHandle<()>,
    pins: Pins,
    reports: mpsc::UnboundedSender<Report<L::Prepared>>,
    status: watch::Sender<Status>,
    next_run: u64,
    /// What is shown of many apps in the same words.
    texts: Shared<str>,
    routes: Shared<[String]>,
    /// When what earlier runs left of apps that are gone is to be removed; once, after the source has been read.
    sweep: Sweep,
    file_changes: Counter,
    /// Who waits for the first listing.
    waiting_for_list: Vec<oneshot::Sender<()>>,
    shutdown: Option<oneshot::Sender<()>>,
}

impl<L: Launcher> Supervisor<L> {
    /// Starts it. It ends at [`SupervisorHandle::shutdown`]; when the source of updates ends, the apps go on.
    pub fn start(
        launcher: L,
        settings: SupervisorSettings,
        updates: mpsc::Receiver<Update>,
    ) -> (SupervisorHandle, watch::Receiver<Status>) {
        let (commands, command_queue) = mpsc::channel(QUEUED_COMMANDS);
        // Each message is the end of a task that this supervisor started: there are never more than a few per app.
        let (reports, report_queue) = mpsc::unbounded_channel();
        let (status, status_reader) = watch::channel(Status::default());
        let file_changes = Counter::default();
        let (last_good, last_good_task) = LastGood::open(settings.last_good_dir.clone());
        let (histories, histories_task) = Histories::open(settings.history_dir.clone());
        let pins = Pins::open(settings.pins_file.clone(), histories.clone());
        let supervisor = Supervisor {
            launcher,
            claims: Claims::new(settings.tls_addresses.clone()),
            settings,
            apps: BTreeMap::new(),
            serving: Serving::default(),
            lingering: Vec::new(),
            timers: BTreeSet::new(),
            runs: FuturesUnordered::new(),
            drains: JoinSet::new(),
            lane: Lane::default(),
            last_good,
            last_good_task,
            histories,
            histories_task,
            pins,
            reports,
            status,
            next_run: 0,
            texts: Shared::default(),
            routes: Shared::default(),
            sweep: Sweep::Waits,
            file_changes: file_changes.clone(),
            waiting_for_list: Vec::new(),
            shutdown: None,
        };
        tasks::spawn("supervisor", supervisor.run(updates, command_queue, report_queue));
        let handle = SupervisorHandle {
            commands,
            file_changes,
        };
        (handle, status_reader)
    }

    async fn run(
        mut self,
        mut updates: mpsc::Receiver<Update>,
        mut commands: mpsc::Receiver<Command>,
        mut reports: mpsc::UnboundedReceiver<Report<L::Prepared>>,
    ) {
        let mut source_open = true;
        while !self.is_over() {
            let next_timer = self.timers.first().map(|(instant, _)| *instant);
            let sweep = match self.sweep {
                Sweep::At(instant) => Some(instant),
                Sweep::Waits | Sweep::Done => None,
            };
            tokio::select! {
                // What is waited for is cancel-safe: nothing is taken out of a queue and lost.
                update = updates.recv(), if source_open => match update {
                    Some(update) => self.update(update).await,
                    None => source_open = false,
                },
                Some(command) = commands.recv() => self.command(command),
                Some(report) = reports.recv() => self.report(report),
                Some(end) = self.runs.next() => self.ended(end),
                Some(_) = self.drains.join_next() => {}
                () = until(next_timer) => self.timer(),
                () = until(sweep), if self.shutdown.is_none() => self.sweep(),
            }
        }
        drop((self.last_good, self.histories, self.pins));
        // They end when all is written; an error means that the runtime ends.
        let _ = self.last_good_task.await;
        let _ = self.histories_task.await;
        if let Some(reply) = self.shutdown {
            // Whoever asked may have lost patience.
            let _ = reply.send(());
        }
    }

    fn is_over(&self) -> bool {
        let activating = |app: &App| app.actual().activating;
        self.shutdown.is_some()
            && self.drains.is_empty()
            && !self.apps.values().map(|app| &**app).any(activating)
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Redeploy(id, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.redeploy(&id));
            }
            Command::Rehearse(drafts, reply) => {
                let _ = reply.send(self.rehearse(&drafts));
            }
            Command::RollBack(id, version, reply) => self.roll_back(&id, version, reply),
            Command::Undo(id, reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.undo(&id));
            }
            Command::History(id, reply) => self.history(&id, reply),
            Command::BackUp(id, reply) => self.back_up(&id, reply),
            Command::Answer(reply) => {
                // Whoever asked may have lost patience.
                let _ = reply.send(());
            }
            Command::Listed(reply) => {
                self.waiting_for_list.push(reply);
                self.tell_listed();
            }
            Command::Shutdown(reply) => {
                self.shutdown = Some(reply);
                self.stop_all();
            }
        }
    }

    /// Tells those who wait for the first listing, if it has been handled.
    fn tell_listed(&mut self) {
        if !matches!(self.sweep, Sweep::Waits) {
            for reply in self.waiting_for_list.drain(..) {
                // Whoever asked may have lost patience.
                let _ = reply.send(());
            }
        }
    }

    fn timer(&mut self) {
        let now = Instant::now();
        while let Some((instant, id)) = self.timers.pop_first() {
            if instant > now {
                self.timers.insert((instant, id));
                return;
            }
            self.look_after(&id);
        }
    }

    fn sweep(&mut self) {
        let present = self.apps.iter().filter(|(_, app)| app.present);
        let ids: Vec<_> = present.map(|(id, _)| id.clone()).collect();
        self.last_good.retain(ids.clone());
        self.histories.retain(ids.clone());
        self.pins.retain(&ids);
        self.launcher.retain(ids);
        self.sweep = Sweep::Done;
    }

    fn wake(&mut self, instant: Instant, id: &AppId) {
        self.timers.insert((instant, id.clone()));
    }

    /// Publishes one app's status, and drops the app when nothing is left of it.
    fn publish(&mut self, id: &AppId) {
        let Some(app) = self.apps.get(id) else { return };
        let name = id.as_str();
        if app.is_over() {
            self.apps.remove(id);
            self.status.send_modify(|status| {
                status.apps.remove(name);
            });
            return;
        }
        let new = app.status(self.status.borrow().apps.get(name).map(|before| &**before));
        let (status, texts) = (&self.status, &mut self.texts);
        status.send_if_modified(|status| {
            let changed = status.apps.get(name).is_none_or(|before| **before != new);
            if changed {
                let reference = new.reference.map(|reference| texts.share(reference));
                let new = AppStatus { reference, ..new };
                status.apps.insert(name.to_owned(), Arc::new(new));
            }
            changed
        });
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => tokio::time::sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod fake;
#[cfg(test)]
mod tests;
