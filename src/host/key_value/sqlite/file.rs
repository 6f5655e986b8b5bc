//! One SQLite file, one connection, and the work that waits for it.
//!
//! Calls queue up, and while some wait a blocking task serves them in rounds: first the reads, which are answered at
//! once, then all writes in one transaction, which are answered when it is on disk. Writes of many requests
//! so share the disk's slow confirmation. All calls of a round came from callers that wait, so each order of
//! them is one that they could have seen; writes keep the order they came in.

use std::collections::VecDeque;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::schema;
use crate::host::key_value::store::StoreError;
use crate::host::state_quota::{Applied, Room};

/// How long the lock of another process, `spin up` for one, is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Calls that are served in one round, so that the first of them does not wait for ever.
const ROUND: usize = 256;

type Read = Box<dyn FnOnce(Result<&Connection, StoreError>) + Send>;
/// Does its work, and gives back how to answer when the transaction's end is known.
type Write = Box<dyn FnOnce(Result<&Open, StoreError>) -> Answer + Send>;
type Answer = Box<dyn FnOnce(&Result<(), StoreError>) + Send>;

enum Job {
    Read(Read),
    Write(Write),
}

/// Where a database is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    File(PathBuf),
    Memory,
}

/// A handle of one database; the connection is opened at the first call and closed with the last handle.
pub(super) struct Database {
    place: Place,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// While a task serves the queue it has the connection too.
    served: bool,
    connection: Option<Open>,
}

struct Open {
    connection: Connection,
    file: Option<FileId>,
    /// Of the last that wrote.
    applied: Applied,
}

impl Database {
    pub(super) fn new(place: Place) -> Arc<Self> {
        let state = Mutex::default();
        Arc::new(Self { place, state })
    }

    /// `work` must not write: it may share its transaction with nobody, and is answered before the round's writes.
    pub(super) async fn read<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        // A caller that is gone does not want to know.
        self.queue(Job::Read(Box::new(move |connection| {
            let _ = sender.send(connection.and_then(work));
        })));
        receiver.await.unwrap_or_else(|_| Err(abandoned()))
    }

    /// `work` is one part of a transaction: what it writes before an error stays, unless it says otherwise. `room` is what the
    /// file may take when it is done.
    pub(super) async fn write<T: Send + 'static>(
        self: &Arc<Self>,
        room: Option<Room>,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (sender, receiver) = oneshot::channel();
        self.queue(Job::Write(Box::new(move |open| {
            let result = open.and_then(|open| {
                match room {
                    Some(room) => room.limit(&open.connection, &open.applied),
                    None => open.applied.lift(&open.connection),
                }?;
                work(&open.connection)
            });
            Box::new(move |committed| {
                let _ = sender.send(result.and_then(|value| committed.clone().map(|()| value)));
            })
        })));
        receiver.await.unwrap_or_else(|_| Err(abandoned()))
    }

    fn queue(self: &Arc<Self>, job: Job) {
        let mut state = self.state();
        state.jobs.push_back(job);
        if !state.served {
            state.served = true;
            let database = self.clone();
            tokio::task::spawn_blocking(move || database.serve());
        }
    }

    /// Serves until nothing waits.
    fn serve(&self) {
        let mut connection = self.state().connection.take();
        loop {
            let jobs = {
                let mut state = self.state();
                if state.jobs.is_empty() {
                    state.connection = connection;
                    // Under the same lock: who queues after this starts another task.
                    state.served = false;
                    return;
                }
                let count = state.jobs.len().min(ROUND);
                state.jobs.drain(..count).collect::<Vec<_>>()
            };
            // Another file in its place, or none: what is written to the old one nobody would find again.
            connection.take_if(|open| open.file != FileId::of(&self.place));
            match connection.map_or_else(|| open(&self.place), Ok) {
                Ok(open) => {
                    // Who panics fails its whole round; the connection, whatever it was in, is closed.
                    let served = catch_unwind(AssertUnwindSafe(|| round(&open, jobs)));
                    connection = served.is_ok().then_some(open);
                }
                Err(error) => {
                    refuse(jobs, &error);
                    connection = None;
                }
            }
        }
    }

    /// For tests: whether all calls so far are being served.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.state().jobs.is_empty()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing under the lock can panic half-way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn open(place: &Place) -> Result<Open, StoreError> {
    let connection = match place {
        Place::File(path) => open_file(path),
        Place::Memory => Connection::open_in_memory().map_err(StoreError::from),
    }?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.execute_batch(schema::CREATE)?;
    let file = FileId::of(place);
    Ok(Open {
        connection,
        file,
        applied: Applied::default(),
    })
}

/// Which file it is, whatever its name.
#[derive(PartialEq, Eq)]
struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// `None` is a database in memory, or no file.
    fn of(place: &Place) -> Option<Self> {
        let Place::File(path) = place else {
            return None;
        };
        let metadata = path.metadata().ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
        })
    }
}

fn open_file(path: &Path) -> Result<Connection, StoreError> {
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(|error| {
            StoreError::new(format!(
                "the directory {} can't be made: {error}",
                directory.display()
            ))
        })?;
    }
    Ok(Connection::open(path)?)
}

fn round(open: &Open, jobs: Vec<Job>) {
    let mut writes = Vec::new();
    for job in jobs {
        match job {
            Job::Read(read) => read(Ok(&open.connection)),
            Job::Write(write) => writes.push(write),
        }
    }
    if !writes.is_empty() {
        write_together(open, writes);
    }
}

fn write_together(open: &Open, writes: Vec<Write>) {
    let connection = &open.connection;
    if let Err(error) = run(connection, "BEGIN IMMEDIATE") {
        refuse(writes.into_iter().map(Job::Write), &error);
        return;
    }
    let mut answers = Vec::with_capacity(writes.len());
    let mut rolled_back = false;
    for write in writes {
        let transaction = if rolled_back { Err(lost()) } else { Ok(open) };
        answers.push(write(transaction));
        // A full disk, for one, ends the whole transaction: what comes after it would be one of its own.
        rolled_back = connection.is_autocommit();
    }
    let committed = if rolled_back {
        Err(lost())
    } else {
        run(connection, "COMMIT")
    };
    if committed.is_err() && !connection.is_autocommit() {
        // It fails only when there is nothing to roll back.
        let _ = connection.execute_batch("ROLLBACK");
    }
    for answer in answers {
        answer(&committed);
    }
}

fn run(connection: &Connection, statement: &str) -> Result<(), StoreError> {
    connection.prepare_cached(statement)?.execute(())?;
    Ok(())
}

fn refuse(jobs: impl IntoIterator<Item = Job>, error: &StoreError) {
    for job in jobs {
        match job {
            Job::Read(read) => read(Err(error.clone())),
            Job::Write(write) => write(Err(error.clone()))(&Ok(())),
        }
    }
}

fn lost() -> StoreError {
    StoreError::new("the database rolled the transaction back")
}

fn abandoned() -> StoreError {
    StoreError::new("the store was closed before it answered")
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        Self(error.to_string())
    }
}
