//! Databases in files of this machine, or in memory.
//!
//! Each connection has a thread: SQLite blocks, for a lock or a disk or a long statement, and neither the runtime's
//! threads nor another connection may wait for that. The thread begins with the first statement and ends with the
//! connection. Statements are interrupted when the connection is given up, so that nothing runs on after its instance.

mod open;
mod patience;
mod queue;
mod statement;
mod worker;

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use async_trait::async_trait;
use tokio::sync::{Semaphore, oneshot};

use super::connection::{Batch, Connection, Database, Error, QueryResult, Rows, Value, io};
use super::{MAX_CONNECTIONS, TOO_MANY};
use crate::host::state_quota::{Room, StateQuota};
use crate::runtime::MAX_INSTANCES_OF_APP;
use crate::tasks;
use open::Signals;
use queue::FileQueue;
pub(super) use queue::FileQueues;
use worker::{Begun, Command, Reply, Target};

/// Connections of one component to one database that may be open at once, in all its instances. One for each instance
/// is what guests need; each takes a thread and some descriptors of the process, which other apps need as well.
const MAX_OPEN: usize = MAX_INSTANCES_OF_APP + MAX_CONNECTIONS;

/// A file, or no file: then each connection has an empty database of its own.
pub(super) struct LocalDatabase {
    path: Option<PathBuf>,
    allow_attach_file: bool,
    queue: Option<Arc<FileQueue>>,
    places: Arc<Semaphore>,
    room: Option<Room>,
}

impl LocalDatabase {
    /// `path` is absolute.
    pub(super) fn new(path: Option<PathBuf>, allow_attach_file: bool, queues: &FileQueues) -> Self {
        Self {
            queue: path.as_deref().map(|path| queues.of(path)),
            path,
            allow_attach_file,
            places: Arc::new(Semaphore::new(MAX_OPEN)),
            room: None,
        }
    }

    /// Keeps a file in the app's state directory within its quota.
    pub(super) fn within(mut self, quota: Option<&Arc<StateQuota>>) -> Self {
        self.room = quota
            .zip(self.path.as_deref())
            .and_then(|(quota, path)| quota.room(path));
        self
    }
}

impl Database for LocalDatabase {
    fn connect(&self) -> Arc<dyn Connection> {
        Arc::new(LocalConnection {
            path: self.path.clone(),
            allow_attach_file: self.allow_attach_file,
            queue: self.queue.clone(),
            places: self.places.clone(),
            room: self.room.clone(),
            worker: Arc::default(),
        })
    }
}

struct LocalConnection {
    path: Option<PathBuf>,
    allow_attach_file: bool,
    queue: Option<Arc<FileQueue>>,
    places: Arc<Semaphore>,
    room: Option<Room>,
    /// Shared with the statements whose rows are still read, which may outlive the guest's handle.
    worker: Arc<Worker>,
}

#[derive(Default)]
struct Worker {
    /// None before the first statement.
    commands: Mutex<Option<mpsc::Sender<Command>>>,
    signals: Arc<Signals>,
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.signals.closing.store(true, Ordering::Relaxed);
    }
}

impl LocalConnection {
    /// Sends a command to the connection's thread, and waits for its reply.
    async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, Error> {
        let (reply, answer) = oneshot::channel();
        self.send(command(reply))?;
        answer.await.unwrap_or_else(|_| Err(thread_ended()))
    }

    fn send(&self, command: Command) -> Result<(), Error> {
        // No panic can happen while it is held.
        let mut commands = self
            .worker
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let commands = match &*commands {
            Some(commands) => commands,
            None => commands.insert(self.start()?),
        };
        commands.send(command).map_err(|_| thread_ended())
    }

    fn start(&self) -> Result<mpsc::Sender<Command>, Error> {
        let place = self.places.clone().try_acquire_owned();
        let place = place.map_err(|_| io(TOO_MANY))?;
        let target = Target {
            path: self.path.clone(),
            allow_attach_file: self.allow_attach_file,
            signals: self.worker.signals.clone(),
            queue: self.queue.clone(),
            room: self.room.clone(),
        };
        let (commands, receiver) = mpsc::channel();
        let serve = move || {
            worker::serve(&target, &receiver);
            drop(place);
        };
        tasks::start_thread("sqlite", serve)
            .map_err(|error| io(format_args!("no thread for a connection: {error}")))?;
        Ok(commands)
    }
}

#[async_trait]
impl Connection for LocalConnection {
    async fn execute(&self, sql: String, parameters: Vec<Value>) -> Result<QueryResult, Error> {
        self.ask(|reply| Command::Execute {
            sql,
            parameters,
            reply,
        })
        .await
    }

    async fn query(&self, sql: String, parameters: Vec<Value>) -> Rows {
        let begun = self.ask(|reply| Command::Begin {
            sql,
            parameters,
            reply,
        });
        let Begun {
            columns,
            first,
            cursor,
        } = match begun.await {
            Ok(begun) => begun,
            Err(error) => return Rows::complete(Err(error)),
        };
        let cursor = Cursor {
            worker: self.worker.clone(),
            cursor,
        };
        let ended = first.end.is_some();
        let rest = futures::stream::unfold((cursor, ended), |(cursor, ended)| async move {
            if ended {
                return None;
            }
            let batch = cursor.next().await;
            let ended = batch.end.is_some();
            Some((batch, (cursor, ended)))
        });
        Rows {
            columns,
            first,
            rest: Box::pin(rest),
        }
    }

    async fn changes(&self) -> Result<u64, Error> {
        self.ask(|reply| Command::Changes { reply }).await
    }

    async fn last_insert_rowid(&self) -> Result<i64, Error> {
        self.ask(|reply| Command::LastInsertRowid { reply }).await
    }
}

/// A statement whose rows are being read; dropping it ends the statement.
struct Cursor {
    worker: Arc<Worker>,
    cursor: u64,
}

impl Cursor {
    fn send(&self, command: Command) -> Option<()> {
        // No panic can happen while it is held.
        let commands = self
            .worker
            .commands
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        commands.as_ref()?.send(command).ok()
    }

    async fn next(&self) -> Batch {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Next {
            cursor: self.cursor,
            reply,
        });
        answer.await.unwrap_or_else(|_| Batch {
            rows: Vec::new(),
            end: Some(Err(thread_ended())),
        })
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        // A thread that is gone has no statements either.
        self.send(Command::End { cursor: self.cursor });
    }
}

fn thread_ended() -> Error {
    io("the connection's thread has ended")
}

#[cfg(test)]
mod tests;
