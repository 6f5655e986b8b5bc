//! A directory as a source of desired state.
//!
//! Events are hints, files are truth: the watch begins, then the directory is listed; every event leads to a look at the
//! file that it names. A full listing happens at start, when events were lost, on request, and at an interval, which is
//! the safety net and, on file systems without events, the only source.
//!
//! It runs on a thread of its own, since all it does is blocking file access. The thread ends with its receiver.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self as hints, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};

use super::change::Update;
use super::events::{Events, Hint, Sign};
use super::files::Files;
use super::scan;
use super::settle::Patience;
use crate::tasks;

/// Batches that wait for the supervisor; with more, the watch waits, and the system's queue fills instead.
const QUEUED_BATCHES: usize = 16;

/// How a directory is watched.
#[derive(Debug, Clone)]
pub struct WatchOptions {
    /// Time between two full listings.
    pub rescan_interval: Duration,
    /// How long doubtful news must stand.
    pub patience: Patience,
    /// Whether the system's events are used; without, changes are found by listing only.
    pub events: bool,
}

impl Default for WatchOptions {
    fn default() -> Self {
        WatchOptions {
            rescan_interval: Duration::from_secs(30),
            patience: Patience::default(),
            events: true,
        }
    }
}

/// Watches `dir`, which is created if it is missing, until the receiver is dropped. The first update is a batch with
/// every file there is, by name. Each notification of `rescan` (a hang-up signal) leads to a full listing at once.
///
/// To be called within the runtime.
///
/// # Errors
/// The working directory is gone, or the system gives no thread.
pub fn watch(dir: &Path, options: WatchOptions, rescan: Arc<Notify>) -> io::Result<mpsc::Receiver<Update>> {
    let dir = std::path::absolute(dir)?;
    let (updates, receiver) = mpsc::channel(QUEUED_BATCHES);
    let (sender, hints) = hints::channel();
    let closed = updates.clone();
    let bell = sender.clone();
    // Ends when the receiver is dropped, and ends the thread.
    tasks::spawn("watch requests", async move {
        loop {
            tokio::select! {
                () = closed.closed() => break,
                () = rescan.notified() => {
                    if bell.send(Hint::Everywhere).is_err() {
                        return;
                    }
                }
            }
        }
        // An error means that the thread has ended already.
        let _ = bell.send(Hint::Stop);
    });
    let watch = Watch {
        files: Files::new(dir.clone(), options.patience),
        parent: dir.parent().map(Path::to_owned),
        next_listing: Instant::now() + options.rescan_interval,
        events: None,
        armed: None,
        problem: None,
        polling_told: false,
        dir,
        options,
        updates,
    };
    thread::Builder::new()
        .name("watch".to_owned())
        .spawn(move || watch.run(sender, &hints))?;
    Ok(receiver)
}

struct Watch {
    dir: PathBuf,
    parent: Option<PathBuf>,
    options: WatchOptions,
    files: Files,
    events: Option<Events>,
    /// Which directory the events come from; another one may stand under the path by now.
    armed: Option<(u64, u64)>,
    /// Why the directory can't be listed, as last told.
    problem: Option<String>,
    polling_told: bool,
    next_listing: Instant,
    updates: mpsc::Sender<Update>,
}

/// Nobody listens any more.
struct Stopped;

impl Watch {
    fn run(mut self, sender: hints::Sender<Hint>, hints: &hints::Receiver<Hint>) {
        if let Err(e) = std::fs::create_dir_all(&self.dir) {
            tracing::warn!(dir = %self.dir.display(), error = %e, "the watched directory can't be created");
        }
        if self.options.events {
            match Events::new(sender.clone()) {
                Ok(events) => self.events = Some(events),
                Err(e) => self.only_polling(&e),
            }
        } else {
            self.only_polling(&"switched off");
        }
        let _ = self.follow(hints);
        // The sender lives as long as the loop: without events, nothing else keeps the channel open.
        drop(sender);
    }

    fn follow(&mut self, hints: &hints::Receiver<Hint>) -> Result<(), Stopped> {
        self.list();
        // Told even when it is empty: the reader knows then that all files have been seen.
        let changes = self.files.take_changes();
        self.send(Update::Batch(changes))?;
        loop {
            let now = Instant::now();
            let next = self
                .files
                .next_settle()
                .map_or(self.next_listing, |settle| settle.min(self.next_listing));
            match hints.recv_timeout(next.saturating_duration_since(now)) {
                Ok(first) => self.take(first, hints)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
            let now = Instant::now();
            if now >= self.next_listing {
                self.list();
            }
            if let Err(e) = self.files.settle(now) {
                self.tell_problem(Some(&e))?;
            }
            self.watch_targets();
            let changes = self.files.take_changes();
            if !changes.is_empty() {
                self.send(Update::Batch(changes))?;
            }
        }
    }

    /// Takes every hint that is there, so that a hundred writes to one file lead to one look.
    fn take(&mut self, first: Hint, hints: &hints::Receiver<Hint>) -> Result<(), Stopped> {
        let mut signs: BTreeMap<PathBuf, Sign> = BTreeMap::new();
        let mut everywhere = false;
        for hint in std::iter::once(first).chain(hints.try_iter()) {
            match hint {
                Hint::Stop => return Err(Stopped),
                Hint::Everywhere => everywhere = true,
                Hint::Path(path, sign) => {
                    signs.insert(path, sign);
                }
            }
        }
        let now = Instant::now();
        for (path, sign) in signs {
            if path == self.dir {
                // Moved away and back, it is the same directory, but its events have ended.
                self.armed = None;
                everywhere = true;
            } else if path.parent() == Some(&self.dir) {
                everywhere |= self.look(&path, sign, now);
            }
            for name in self.files.links().leading_to(&path) {
                self.look(&self.dir.join(name), sign, now);
            }
        }
        if everywhere {
            self.list();
        }
        Ok(())
    }

    /// Looks at one path in the directory; whether it calls for a look everywhere.
    fn look(&mut self, path: &Path, sign: Sign, now: Instant) -> bool {
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
            return false;
        };
        if scan::is_app_file(name) {
            match sign {
                Sign::Writing => self.files.writing(name, now),
                Sign::Done => self.files.look(name, now),
            }
        }
        // `..data` of a mounted ConfigMap: swapped, it changes what every other name leads to.
        name.starts_with("..")
    }

    /// A full listing. The events are set up first, for the directory that stands under the path now.
    fn list(&mut self) {
        let now = Instant::now();
        self.next_listing = now + self.options.rescan_interval;
        self.arm();
        let listed = self.files.look_everywhere(now);
        self.watch_targets();
        // The loop ends at its next message when nobody listens.
        let _ = self.tell_problem(listed.err().as_ref());
    }

    fn arm(&mut self) {
        let Some(events) = &mut self.events else { return };
        // The parent tells when the directory itself is replaced; without it, the next listing finds out.
        if let Some(parent) = &self.parent
            && let Err(e) = events.watch(parent)
        {
            tracing::debug!(dir = %parent.display(), error = %e, "no events from the parent directory");
        }
        let identity = scan::identity(&self.dir).ok();
        if identity.is_none() || identity == self.armed {
            return;
        }
        match events.watch_anew(&self.dir) {
            Ok(()) => {
                self.armed = identity;
                self.polling_told = false;
            }
            Err(e) => self.only_polling(&e),
        }
    }

    fn watch_targets(&mut self) {
        let Some(events) = &mut self.events else { return };
        let targets = self.files.links().dirs();
        let keep =
            |dir: &Path| dir == self.dir || self.parent.as_deref() == Some(dir) || targets.contains(dir);
        events.retain(keep);
        for dir in targets {
            // The next listing finds what is not told.
            if let Err(e) = events.watch(dir) {
                tracing::debug!(dir = %dir.display(), error = %e, "no events from the target of a link");
            }
        }
    }

    fn only_polling(&mut self, reason: &dyn std::fmt::Display) {
        if !std::mem::replace(&mut self.polling_told, true) {
            let interval = humantime::format_duration(self.options.rescan_interval);
            tracing::warn!(dir = %self.dir.display(), %reason, %interval, "no file events; the directory is listed at intervals");
        }
    }

    /// Tells a new problem, or that it is over, once.
    fn tell_problem(&mut self, error: Option<&io::Error>) -> Result<(), Stopped> {
        let problem = error.map(|e| {
            format!(
                "{} can't be listed: {e}; every app stays as it is",
                self.dir.display()
            )
        });
        if problem == self.problem {
            return Ok(());
        }
        match &problem {
            Some(problem) => tracing::error!(problem, "the watched directory can't be listed"),
            None => tracing::info!(dir = %self.dir.display(), "the watched directory can be listed again"),
        }
        self.problem.clone_from(&problem);
        self.send(Update::Source(problem))
    }

    fn send(&self, update: Update) -> Result<(), Stopped> {
        self.updates.blocking_send(update).map_err(|_| Stopped)
    }
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
