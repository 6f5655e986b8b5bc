//! A copy of the SQLite databases in a state directory, all as they are at one moment, while guests use them.
//!
//! For that moment nobody writes to any of them: the lock of writers is taken in each, then each begins to be read, and the
//! locks are given back. What is read from then on is that moment. Writers to a database with a write-ahead log go on
//! meanwhile; in others they wait with their commits until it is copied, so those are copied first.
//!
//! No database is opened but through SQLite: the kernel ends all locks that a process has on a file when *any* of its
//! descriptors of that file is closed.

use std::fs::{File, Metadata};
use std::io::{self, Seek as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, UNIX_EPOCH};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};
use tempfile::TempDir;

/// How long the moment is waited for in which nobody writes.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the first database's lock is waited for, which keeps nobody waiting.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// How long each other one is waited for, while those before it are locked: less than guests wait for a lock.
const NEXT_WAIT: Duration = Duration::from_millis(250);
/// Between two tries.
const POLL: Duration = Duration::from_millis(1);
/// Directories below the state directory that are looked into.
const MAX_DEPTH: usize = 8;
/// What belongs to a database, and goes with it.
const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];
/// The permissions among a file's mode.
const PERMISSIONS: u32 = 0o777;

/// Why the databases can't be copied.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    #[error(
        "there is no SQLite database in {}: what an app keeps elsewhere (Redis, libSQL, DynamoDB) is backed up there",
        .0.display()
    )]
    NoDatabase(PathBuf),
    #[error(
        "no moment came within {} in which nobody wrote to {}: try again when a long transaction has ended",
        humantime::format_duration(PATIENCE),
        .0.display()
    )]
    Busy(PathBuf),
    #[error("{} can't be copied", path.display())]
    Database { path: PathBuf, source: rusqlite::Error },
    #[error("{} can't be read or written", path.display())]
    Io { path: PathBuf, source: io::Error },
}

impl BackupError {
    /// With the path that it is about.
    pub fn io(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { path, source }
    }
}

/// Copies every database in `state_dir` into a tar, and gives that, at its beginning, with its size in bytes. Files that are no
/// databases are left out. What is half-made is in `scratch`. Blocks, for as long as there is to copy.
pub fn back_up(state_dir: &Path, scratch: &Path) -> Result<(File, u64), BackupError> {
    let mut sources = Vec::new();
    for path in files(state_dir)? {
        sources.extend(Source::open(path)?);
    }
    if sources.is_empty() {
        return Err(BackupError::NoDatabase(state_dir.into()));
    }
    begin_together(&mut sources)?;
    sources.sort_by_key(|source| source.has_log);
    let copies = TempDir::with_prefix_in("backup-", scratch).map_err(BackupError::io(scratch))?;
    let mut copied = Vec::new();
    for (number, source) in sources.into_iter().enumerate() {
        let copy = copies.path().join(number.to_string());
        source.copy(&copy)?;
        copied.push((source.path, source.metadata, copy));
    }
    copied.sort_by(|a, b| a.0.cmp(&b.0));
    let file = tempfile::tempfile_in(scratch).map_err(BackupError::io(scratch))?;
    let mut tar = tar::Builder::new(file);
    for (path, metadata, copy) in copied {
        let name = path.strip_prefix(state_dir).unwrap_or(&path);
        append(&mut tar, name, &metadata, &copy).map_err(BackupError::io(&path))?;
    }
    let mut file = tar.into_inner().map_err(BackupError::io(scratch))?;
    let size = file.stream_position().map_err(BackupError::io(scratch))?;
    file.rewind().map_err(BackupError::io(scratch))?;
    Ok((file, size))
}

/// What may be a database. A directory that can't be read is an error: nothing is left out unnoticed.
fn files(state_dir: &Path) -> Result<Vec<PathBuf>, BackupError> {
    let mut files = Vec::new();
    let mut directories = vec![(state_dir.to_owned(), MAX_DEPTH)];
    while let Some((directory, depth)) = directories.pop() {
        let entries = match std::fs::read_dir(&directory) {
            // An app that never served has none.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            entries => entries.map_err(BackupError::io(&directory))?,
        };
        for entry in entries {
            let entry = entry.map_err(BackupError::io(&directory))?;
            // Links are not followed: what they lead to is elsewhere.
            let kind = entry.file_type().map_err(BackupError::io(entry.path()))?;
            if kind.is_dir() && depth > 0 {
                directories.push((entry.path(), depth - 1));
            } else if kind.is_file() && !is_companion(&entry.path()) {
                files.push(entry.path());
            }
        }
    }
    Ok(files)
}

fn is_companion(path: &Path) -> bool {
    let name = path.as_os_str().as_encoded_bytes();
    COMPANIONS.iter().any(|end| name.ends_with(end.as_bytes()))
}

/// One database.
struct Source {
    path: PathBuf,
    metadata: Metadata,
    /// It has a write-ahead log.
    has_log: bool,
    /// Keeps writers away for a moment.
    lock: Connection,
    reader: Connection,
}

impl Source {
    /// `None`: it is no database, or has gone.
    fn open(path: PathBuf) -> Result<Option<Source>, BackupError> {
        let metadata = match path.metadata() {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            metadata => metadata.map_err(BackupError::io(&path))?,
        };
        if metadata.len() == 0 {
            return Ok(None);
        }
        match connections(&path) {
            Ok((lock, reader, has_log)) => Ok(Some(Source {
                path,
                metadata,
                has_log,
                lock,
                reader,
            })),
            Err(e) if e.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Ok(None),
            Err(source) => Err(BackupError::Database { path, source }),
        }
    }

    /// Whether nobody can write to it any more; `false`: somebody else does, for longer than `wait`.
    fn lock(&self, wait: Duration) -> Result<bool, BackupError> {
        let end = Instant::now() + wait;
        loop {
            match self.lock.execute_batch("BEGIN IMMEDIATE") {
                Ok(()) => return Ok(true),
                Err(e) if e.sqlite_error_code() != Some(ErrorCode::DatabaseBusy) => return Err(self.error(e)),
                Err(_) if Instant::now() >= end => return Ok(false),
                Err(_) => std::thread::sleep(POLL),
            }
        }
    }

    fn unlock(&self) -> Result<(), BackupError> {
        self.lock.execute_batch("ROLLBACK").map_err(|e| self.error(e))
    }

    /// What is read from now on is as it is now.
    fn begin_to_read(&self) -> Result<(), BackupError> {
        let begun = self.reader.execute_batch("BEGIN; PRAGMA schema_version");
        begun.map_err(|e| self.error(e))
    }

    fn copy(&self, into: &Path) -> Result<(), BackupError> {
        let copied = copy(&self.reader, into).map_err(|e| self.error(e))?;
        // Whoever waits for this to end need not wait for the tar.
        let ended = self.reader.execute_batch("ROLLBACK");
        ended.map_err(|e| self.error(e))?;
        match copied {
            StepResult::Done => Ok(()),
            _ => Err(BackupError::Busy(self.path.clone())),
        }
    }

    fn error(&self, source: rusqlite::Error) -> BackupError {
        BackupError::Database {
            path: self.path.clone(),
            source,
        }
    }
}

/// One for the lock and one to read, and whether there is a write-ahead log.
fn connections(path: &Path) -> rusqlite::Result<(Connection, Connection, bool)> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let lock = Connection::open_with_flags(path, flags)?;
    let reader = Connection::open_with_flags(path, flags)?;
    let mode: String = reader.query_row("PRAGMA journal_mode", (), |row| row.get(0))?;
    // The mode alone may be told without a look at the file.
    reader.query_row("PRAGMA schema_version", (), |_| Ok(()))?;
    lock.busy_timeout(Duration::ZERO)?;
    Ok((lock, reader, mode == "wal"))
}

/// Begins to read all of them at one moment.
fn begin_together(sources: &mut [Source]) -> Result<(), BackupError> {
    let end = Instant::now() + PATIENCE;
    while let Some(busy) = lock_all(sources)? {
        if Instant::now() >= end {
            return Err(BackupError::Busy(sources[busy].path.clone()));
        }
        // The one that was busy is waited for first, while no other is locked.
        sources.rotate_left(busy);
    }
    let begun = sources.iter().try_for_each(Source::begin_to_read);
    sources.iter().try_for_each(Source::unlock)?;
    begun
}

/// Locks all, or none because of that one.
fn lock_all(sources: &[Source]) -> Result<Option<usize>, BackupError> {
    for (place, source) in sources.iter().enumerate() {
        let wait = if place == 0 { FIRST_WAIT } else { NEXT_WAIT };
        if !source.lock(wait)? {
            sources[..place].iter().try_for_each(Source::unlock)?;
            return Ok(Some(place));
        }
    }
    Ok(None)
}

/// Page by page, as the reader sees it.
fn copy(reader: &Connection, into: &Path) -> rusqlite::Result<StepResult> {
    let mut copy = Connection::open(into)?;
    // It is worth nothing before it is whole.
    copy.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF")?;
    Backup::new(reader, &mut copy)?.step(-1)
}

/// Moves a copy into the tar, with the owner and the permissions of the database.
fn append(tar: &mut tar::Builder<File>, name: &Path, metadata: &Metadata, copy: &Path) -> io::Result<()> {
    let file = File::open(copy)?;
    let mut header = tar::Header::new_gnu();
    header.set_size(file.metadata()?.len());
    header.set_mode(metadata.mode() & PERMISSIONS);
    header.set_uid(metadata.uid().into());
    header.set_gid(metadata.gid().into());
    let now = UNIX_EPOCH.elapsed().unwrap_or_default();
    header.set_mtime(now.as_secs());
    tar.append_data(&mut header, name, file)?;
    std::fs::remove_file(copy)
}

#[cfg(test)]
#[path = "backup_tests.rs"]
mod tests;
