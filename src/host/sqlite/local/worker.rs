//! The thread of one connection: it alone touches the connection and its statements.

use std::collections::HashMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::Receiver;

use rusqlite::{Connection, TransactionState};
use tokio::sync::oneshot;

use super::super::connection::{Batch, Error, QueryResult, Value, hold, io, size};
use super::open::{BUSY_TIMEOUT, Signals, open};
use super::patience::{Call, Patience};
use super::queue::FileQueue;
use super::statement::Statement;
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};
use crate::host::state_quota::{Applied, Room};

/// Statements that are kept prepared for another run.
const MAX_IDLE_STATEMENTS: usize = 16;
/// A batch of rows ends at either of these.
const BATCH_ROWS: usize = 256;
const BATCH_BYTES: usize = 256 << 10;

pub(super) type Reply<T> = oneshot::Sender<Result<T, Error>>;

/// What the thread is asked; a reply that nobody waits for any more is dropped.
pub(super) enum Command {
    Execute {
        sql: String,
        parameters: Vec<Value>,
        reply: Reply<QueryResult>,
    },
    Begin {
        sql: String,
        parameters: Vec<Value>,
        reply: Reply<Begun>,
    },
    /// More rows of a statement that was begun and has not ended.
    Next {
        cursor: u64,
        reply: oneshot::Sender<Batch>,
    },
    /// No more rows are wanted.
    End {
        cursor: u64,
    },
    Changes {
        reply: Reply<u64>,
    },
    LastInsertRowid {
        reply: Reply<i64>,
    },
}

/// A statement that was begun.
pub(super) struct Begun {
    pub(super) columns: Vec<String>,
    pub(super) first: Batch,
    /// For [`Command::Next`], unless `first` has the end.
    pub(super) cursor: u64,
}

/// What the thread opens when it first needs to.
pub(super) struct Target {
    pub(super) path: Option<PathBuf>,
    pub(super) allow_attach_file: bool,
    pub(super) signals: Arc<Signals>,
    /// Of the file.
    pub(super) queue: Option<Arc<FileQueue>>,
    /// What the file may take.
    pub(super) room: Option<Room>,
}

/// Serves until no one is left who could ask; then the connection closes, and a transaction that is open is rolled back.
pub(super) fn serve(target: &Target, commands: &Receiver<Command>) {
    let mut session = None;
    while let Ok(command) = commands.recv() {
        // A file that can't be opened now may be there at the next call.
        let session = match &mut session {
            Some(session) => Ok(session),
            None => Session::open(target).map(|opened| session.insert(opened)),
        };
        run(command, session);
    }
}

fn run(command: Command, session: Result<&mut Session, Error>) {
    // Whoever asked may be gone, and then so is the wish.
    match command {
        Command::Execute {
            sql,
            parameters,
            reply,
        } => {
            let _ = reply.send(session.and_then(|session| session.execute(&sql, &parameters)));
        }
        Command::Begin {
            sql,
            parameters,
            reply,
        } => {
            let session = match session {
                Ok(session) => session,
                Err(error) => return drop(reply.send(Err(error))),
            };
            if let Err(Ok(unwanted)) = reply.send(session.begin(&sql, &parameters)) {
                let _call = session.call();
                session.end(unwanted.cursor);
            }
        }
        Command::Next { cursor, reply } => {
            let failed = |error| Batch {
                rows: Vec::new(),
                end: Some(Err(error)),
            };
            let _ = reply.send(session.map_or_else(failed, |session| session.next(cursor)));
        }
        Command::End { cursor } => {
            if let Ok(session) = session {
                let _call = session.call();
                session.end(cursor);
            }
        }
        Command::Changes { reply } => {
            let _ = reply.send(session.map(|session| session.connection.changes()));
        }
        Command::LastInsertRowid { reply } => {
            let _ = reply.send(session.map(|session| session.connection.last_insert_rowid()));
        }
    }
}

struct Session {
    connection: Rc<Connection>,
    signals: Arc<Signals>,
    /// None without a file.
    patience: Option<Arc<Patience>>,
    room: Option<Room>,
    applied: Applied,
    /// Prepared before and not in use, the latest last.
    idle: Vec<Statement>,
    /// Statements whose rows are being read.
    cursors: HashMap<u64, Statement>,
    next_cursor: u64,
}

impl Session {
    fn open(target: &Target) -> Result<Self, Error> {
        let file = target.path.as_deref().zip(target.queue.clone());
        let patience = file.map(|(path, queue)| Patience::new(path, queue, target.signals.clone()));
        let connection = open(
            target.path.as_deref(),
            target.allow_attach_file,
            &target.signals,
            patience.as_ref(),
        );
        target
            .signals
            .sized
            .store(target.room.is_some(), Ordering::Relaxed);
        Ok(Self {
            connection: Rc::new(connection.map_err(io)?),
            signals: target.signals.clone(),
            patience,
            room: target.room.clone(),
            applied: Applied::default(),
            idle: Vec::new(),
            cursors: HashMap::new(),
            next_cursor: 0,
        })
    }

    /// Before each statement that writes: other files may have grown.
    fn make_room(&self) -> Result<(), String> {
        let Some(room) = &self.room else {
            return Ok(());
        };
        self.signals.sized.store(false, Ordering::Relaxed);
        let limited = room.limit(&self.connection, &self.applied);
        self.signals.sized.store(true, Ordering::Relaxed);
        limited.map_err(|error| error.to_string())
    }

    fn prepare(&mut self, sql: &str) -> Result<Statement, String> {
        // Its own text, without the white space around, is what errors show, too.
        let sql = sql.trim();
        match self.idle.iter().position(|idle| idle.sql() == sql) {
            Some(at) => Ok(self.idle.remove(at)),
            None => self.prepare_anew(sql),
        }
    }

    fn prepare_anew(&self, sql: &str) -> Result<Statement, String> {
        let own_patience = || self.signals.own_patience.load(Ordering::Relaxed);
        let before = own_patience();
        let prepared = Statement::prepare(&self.connection, sql);
        if own_patience() == before {
            return prepared;
        }
        // SQLite answers and sets while it prepares, so it is asked once more, now that it waits by itself.
        drop(prepared);
        let timeout = self.connection.busy_timeout(BUSY_TIMEOUT);
        timeout.map_err(|error| error.to_string())?;
        Statement::prepare(&self.connection, sql)
    }

    fn keep(&mut self, mut statement: Statement) {
        statement.reset();
        if self.idle.len() == MAX_IDLE_STATEMENTS {
            self.idle.remove(0);
        }
        self.idle.push(statement);
    }

    /// The statement, and its columns.
    fn start(&mut self, sql: &str) -> Result<(Statement, Vec<String>), String> {
        let statement = self.prepare(sql)?;
        let columns = statement.columns()?;
        if !statement.is_readonly() {
            self.make_room()?;
        }
        Ok((statement, columns))
    }

    /// To be held while a statement is prepared and run.
    fn call(&self) -> Option<Call> {
        let patience = self.patience.as_ref()?;
        let state = self.connection.transaction_state(None::<&str>);
        Some(patience.call(!matches!(state, Ok(TransactionState::None))))
    }

    fn execute(&mut self, sql: &str, parameters: &[Value]) -> Result<QueryResult, Error> {
        let call = self.call();
        let (mut statement, columns) = self.start(sql).map_err(io)?;
        statement.bind(parameters).map_err(io)?;
        if let Some(call) = &call {
            call.run(statement.is_readonly());
        }
        let mut rows = Vec::new();
        let mut held = 0;
        while let Some(row) = statement.step().map_err(io)? {
            hold(&mut held, &row)?;
            rows.push(row);
        }
        self.keep(statement);
        Ok(QueryResult { columns, rows })
    }

    fn begin(&mut self, sql: &str, parameters: &[Value]) -> Result<Begun, Error> {
        // All changes are made before the first row.
        let call = self.call();
        let (mut statement, columns) = self.start(sql).map_err(io)?;
        let cursor = self.next_cursor;
        self.next_cursor += 1;
        // Only an error of the text leaves no columns.
        if let Err(text) = statement.bind(parameters) {
            return Ok(Begun {
                columns,
                first: Batch {
                    rows: Vec::new(),
                    end: Some(Err(io(text))),
                },
                cursor,
            });
        }
        if let Some(call) = &call {
            call.run(statement.is_readonly());
        }
        self.cursors.insert(cursor, statement);
        Ok(Begun {
            columns,
            first: self.read(cursor),
            cursor,
        })
    }

    /// More rows. What was changed is committed with the last one.
    fn next(&mut self, cursor: u64) -> Batch {
        let _call = self.call();
        self.read(cursor)
    }

    fn read(&mut self, cursor: u64) -> Batch {
        let mut rows = Vec::new();
        let Some(statement) = self.cursors.get_mut(&cursor) else {
            return Batch {
                rows,
                end: Some(Ok(())),
            };
        };
        let mut bytes = 0;
        let end = loop {
            if rows.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
                break None;
            }
            match statement.step() {
                Ok(Some(row)) if size(&row) > MAX_BUFFERED => break Some(Err(io(TOO_LARGE))),
                Ok(Some(row)) => {
                    bytes += size(&row);
                    rows.push(row);
                }
                Ok(None) => break Some(Ok(())),
                Err(text) => break Some(Err(io(text))),
            }
        };
        if end.is_some() {
            self.end(cursor);
        }
        Batch { rows, end }
    }

    fn end(&mut self, cursor: u64) {
        if let Some(statement) = self.cursors.remove(&cursor) {
            self.keep(statement);
        }
    }
}
