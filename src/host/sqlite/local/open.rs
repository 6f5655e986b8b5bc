//! A connection to a local database, with what a guest may not do on it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::hooks::{AuthAction, AuthContext, Authorization};
use rusqlite::limits::Limit;
use rusqlite::{Connection, OpenFlags, ffi};

use super::patience::Patience;
use crate::host::limits::MAX_BUFFERED;

/// How long a statement waits for another connection's lock; a guest may change it for its own.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Bytes of one value inside SQLite: more than any guest can be given, and not so much that a few of them would take the
/// host's memory.
const MAX_VALUE: usize = 2 * MAX_BUFFERED;
/// Steps of SQLite's machine between two looks at whether the connection is still wanted: about ten microseconds.
const STEPS_BETWEEN_CHECKS: i32 = 1000;

/// Settings that hold for the whole process, so that one guest would change them for all.
const PROCESS_PRAGMAS: [&str; 4] = [
    "data_store_directory",
    "hard_heap_limit",
    "soft_heap_limit",
    "temp_store_directory",
];

/// The guest's own limit on its file.
const SIZE_PRAGMA: &str = "max_page_count";

/// The guest's own number, if it wants another patience.
const PATIENCE_PRAGMA: &str = "busy_timeout";
/// The same as a table.
const PATIENCE_TABLE: &str = "pragma_busy_timeout";

/// What is told to and by a connection while it works.
#[derive(Default)]
pub(super) struct Signals {
    /// No one wants the connection any more: statements are interrupted.
    pub(super) closing: AtomicBool,
    /// The guest has set how long it waits for locks, or asked: then SQLite waits, which alone knows the answer.
    pub(super) own_patience: AtomicBool,
    /// The guest may not say how large its file may grow: the operator has.
    pub(super) sized: AtomicBool,
}

/// Opens the file, or a database of its own in memory.
pub(super) fn open(
    path: Option<&Path>,
    allow_attach_file: bool,
    signals: &Arc<Signals>,
    patience: Option<&Arc<Patience>>,
) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_CREATE
        // It stays on the thread that opened it.
        | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = match path {
        Some(path) => {
            if let Some(directory) = path.parent() {
                // SQLite's own error says it better, if it can't be.
                let _ = std::fs::create_dir_all(directory);
            }
            Connection::open_with_flags(path, flags)?
        }
        None => Connection::open_in_memory_with_flags(flags)?,
    };
    match patience.cloned() {
        Some(patience) => connection.busy_handler(Some(move |tries| patience.wait(tries)))?,
        None => connection.busy_timeout(BUSY_TIMEOUT)?,
    }
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, true)?;
    // Guests' SQL must not be able to damage the file in ways that SQLite itself stumbles over.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_limit(Limit::SQLITE_LIMIT_LENGTH, MAX_VALUE as i32)?;
    let closing = signals.clone();
    connection.progress_handler(
        STEPS_BETWEEN_CHECKS,
        Some(move || closing.closing.load(Ordering::Relaxed)),
    )?;
    let signals = signals.clone();
    connection.authorizer(Some(move |context: AuthContext<'_>| {
        if concerns_patience(&context.action) {
            signals.own_patience.store(true, Ordering::Relaxed);
        }
        if sets_size(&context.action) && signals.sized.load(Ordering::Relaxed) {
            return Authorization::Deny;
        }
        authorize(&context.action, allow_attach_file)
    }))?;
    Ok(connection)
}

fn concerns_patience(action: &AuthAction<'_>) -> bool {
    match action {
        AuthAction::Pragma { pragma_name, .. } => pragma_name.eq_ignore_ascii_case(PATIENCE_PRAGMA),
        AuthAction::Read { table_name, .. } => table_name.eq_ignore_ascii_case(PATIENCE_TABLE),
        _ => false,
    }
}

fn sets_size(action: &AuthAction<'_>) -> bool {
    matches!(
        action,
        AuthAction::Pragma { pragma_name, pragma_value: Some(_) }
            if pragma_name.eq_ignore_ascii_case(SIZE_PRAGMA)
    )
}

/// `VACUUM INTO` is asked about as an attachment, too.
fn authorize(action: &AuthAction<'_>, allow_attach_file: bool) -> Authorization {
    let allowed = match action {
        AuthAction::Attach { filename } => allow_attach_file || matches!(*filename, "" | ":memory:"),
        // A name that is computed is not known here.
        AuthAction::Unknown { code, .. } if *code == ffi::SQLITE_ATTACH => allow_attach_file,
        AuthAction::Pragma {
            pragma_name,
            pragma_value: Some(_),
        } => !PROCESS_PRAGMAS
            .iter()
            .any(|name| name.eq_ignore_ascii_case(pragma_name)),
        _ => true,
    };
    if allowed {
        Authorization::Allow
    } else {
        Authorization::Deny
    }
}
