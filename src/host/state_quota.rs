//! How much an app may keep in its state directory: SQLite's own limit on a file's pages, from what is there.
//!
//! The directory is looked at before each write: transactions that are under way at the same time, in several files, can
//! each take what was free then. Journals, which go with their transaction, do not count; a write-ahead log does, and may
//! for a moment be as large as the limit again.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{Connection, ffi};

/// Directories below the state directory that are looked into.
const MAX_DEPTH: usize = 8;
/// What comes and goes with a transaction, or holds nothing.
const PASSING: [&str; 2] = ["-journal", "-shm"];
const WRITE_AHEAD_LOG: &str = "-wal";
/// As many pages as a file can have.
const ANY: u64 = 0xffff_fffe;

/// The quota of one state directory.
#[derive(Debug)]
pub struct StateQuota {
    directory: PathBuf,
    /// Not counted: what guests print has a bound of its own.
    logs: PathBuf,
    bytes: u64,
}

impl StateQuota {
    /// Both directories are absolute.
    pub fn new(directory: PathBuf, logs: PathBuf, bytes: u64) -> Self {
        Self {
            directory,
            logs,
            bytes,
        }
    }

    /// The room that a database file has; files elsewhere have any.
    pub(super) fn room(self: &Arc<Self>, file: &Path) -> Option<Room> {
        file.starts_with(&self.directory).then(|| Room {
            quota: self.clone(),
            file: file.to_owned(),
        })
    }

    /// Bytes of all files but this one, and those of its write-ahead log among them.
    fn others(&self, file: &Path) -> (u64, u64) {
        let mut files = Vec::new();
        self.list(&self.directory, MAX_DEPTH, &mut files);
        let mut log = file.as_os_str().to_owned();
        log.push(WRITE_AHEAD_LOG);
        let (mut others, mut logged) = (0, 0);
        for (path, size) in files {
            if path.as_os_str() == log {
                logged = size;
            }
            if path != file {
                others += size;
            }
        }
        (others, logged)
    }

    /// What can't be read is not there: it may just have gone.
    fn list(&self, directory: &Path, depth: usize, files: &mut Vec<(PathBuf, u64)>) {
        let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
        for entry in entries {
            let path = entry.path();
            // Links are not followed: what they lead to is elsewhere.
            match entry.metadata() {
                Ok(metadata) if metadata.is_dir() && depth > 0 && path != self.logs => {
                    self.list(&path, depth - 1, files);
                }
                Ok(metadata) if metadata.is_file() && !is_passing(&path) => {
                    files.push((path, metadata.len()));
                }
                _ => {}
            }
        }
    }
}

fn is_passing(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    PASSING.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// What one database file may take of its directory's quota.
#[derive(Debug, Clone)]
pub(super) struct Room {
    quota: Arc<StateQuota>,
    file: PathBuf,
}

/// The limit that a connection has now.
#[derive(Debug, Default)]
pub(super) struct Applied(Cell<Option<Size>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Size {
    page: u32,
    pages: u64,
}

impl Room {
    /// Sets the connection's limit before it writes. SQLite refuses what is beyond it, with an error of its own; that is
    /// also the error for a write-ahead log that can't be emptied.
    pub(super) fn limit(&self, connection: &Connection, applied: &Applied) -> rusqlite::Result<()> {
        let (mut others, mut logged) = self.quota.others(&self.file);
        if logged > self.quota.bytes {
            // Inside a transaction it can't be emptied.
            if connection.is_autocommit() {
                connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", (), |_| Ok(()))?;
            }
            (others, logged) = self.quota.others(&self.file);
            if logged > self.quota.bytes {
                return Err(rusqlite::Error::SqliteFailure(
                    ffi::Error::new(ffi::SQLITE_FULL),
                    None,
                ));
            }
        }
        let page: u32 = connection
            .prepare_cached("PRAGMA page_size")?
            .query_row((), |row| row.get(0))?;
        let room = self.quota.bytes.saturating_sub(others);
        let pages = (room / u64::from(page.max(1))).clamp(1, ANY);
        applied.set(connection, Size { page, pages })
    }
}

impl Applied {
    /// For a connection that some of its users have a limit for.
    pub(super) fn lift(&self, connection: &Connection) -> rusqlite::Result<()> {
        match self.0.get() {
            None => Ok(()),
            Some(size) => self.set(connection, Size { pages: ANY, ..size }),
        }
    }

    fn set(&self, connection: &Connection, size: Size) -> rusqlite::Result<()> {
        if self.0.get() != Some(size) {
            connection.query_row(&format!("PRAGMA max_page_count = {}", size.pages), (), |_| Ok(()))?;
            self.0.set(Some(size));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const KIB: u64 = 1024;

    fn quota(directory: &Path, bytes: u64) -> StateQuota {
        StateQuota::new(directory.into(), directory.join("logs"), bytes)
    }

    fn fill(connection: &Connection) -> (u64, rusqlite::Error) {
        connection
            .execute_batch("CREATE TABLE IF NOT EXISTS t (bytes BLOB)")
            .unwrap();
        let mut written = 0;
        loop {
            match connection.execute("INSERT INTO t VALUES (zeroblob(1024))", ()) {
                Ok(_) => written += KIB,
                Err(error) => return (written, error),
            }
        }
    }

    #[test]
    fn a_file_grows_to_what_others_leave() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("below")).unwrap();
        std::fs::write(directory.path().join("below/other"), vec![0; 100 << 10]).unwrap();
        std::fs::write(directory.path().join("other.db-journal"), vec![0; 900 << 10]).unwrap();
        std::fs::create_dir(directory.path().join("logs")).unwrap();
        std::fs::write(directory.path().join("logs/c_stdout.txt"), vec![0; 900 << 10]).unwrap();
        let quota = Arc::new(quota(directory.path(), 300 * KIB));
        let file = directory.path().join("a.db");
        let room = quota.room(&file).unwrap();
        let (connection, applied) = (Connection::open(&file).unwrap(), Applied::default());
        room.limit(&connection, &applied).unwrap();
        let (written, error) = fill(&connection);
        assert_eq!(error.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        assert!((130 * KIB..200 * KIB).contains(&written), "{written}");
        assert!(std::fs::metadata(&file).unwrap().len() <= 200 * KIB);
        applied.lift(&connection).unwrap();
        connection
            .execute("INSERT INTO t VALUES (zeroblob(400000))", ())
            .unwrap();
    }

    #[test]
    fn files_elsewhere_have_any_room() {
        let quota = Arc::new(quota(Path::new("/state/a"), KIB));
        assert!(quota.room(Path::new("/state/ab/c.db")).is_none());
        assert!(quota.room(Path::new("/state/a/c.db")).is_some());
    }

    #[test]
    fn a_log_that_grows_without_end_is_emptied_or_refused() {
        let directory = tempfile::tempdir().unwrap();
        let quota = Arc::new(quota(directory.path(), 64 * KIB));
        let file = directory.path().join("a.db");
        let room = quota.room(&file).unwrap();
        let (connection, applied) = (Connection::open(&file).unwrap(), Applied::default());
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA wal_autocheckpoint = 0;
                CREATE TABLE t (n); INSERT INTO t VALUES (1)",
            )
            .unwrap();
        let grow = || {
            for _ in 0..30 {
                connection.execute("UPDATE t SET n = n + 1", ()).unwrap();
            }
        };
        grow();
        let reader = Connection::open(&file).unwrap();
        reader.execute_batch("BEGIN; SELECT * FROM t").unwrap();
        grow();
        connection.busy_timeout(Duration::ZERO).unwrap();
        let refused = room.limit(&connection, &applied).unwrap_err();
        assert_eq!(refused.sqlite_error_code(), Some(rusqlite::ErrorCode::DiskFull));
        drop(reader);
        room.limit(&connection, &applied).unwrap();
    }
}
