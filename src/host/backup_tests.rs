use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

const TABLE: &str = "CREATE TABLE t (n INTEGER)";

fn database(path: &Path, more: &str) -> Connection {
    let connection = Connection::open(path).unwrap();
    connection.execute_batch(&format!("{more}; {TABLE}")).unwrap();
    connection
}

/// The tar's entries, unpacked.
fn unpacked(tar: File) -> TempDir {
    let directory = TempDir::new().unwrap();
    tar::Archive::new(tar).unpack(directory.path()).unwrap();
    directory
}

fn number(connection: &Connection, sql: &str) -> i64 {
    connection.query_row(sql, (), |row| row.get(0)).unwrap()
}

/// A writer adds to one database and then to the other, so that at each moment the first has as many as the second, or one
/// more.
fn is_of_one_moment(first_mode: &str, second_mode: &str) {
    let (state, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let paths = [state.path().join("first.db"), state.path().join("second.db")];
    let writers = [database(&paths[0], first_mode), database(&paths[1], second_mode)];
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = std::thread::spawn(move || {
        let mut written = 0_i64;
        while !stopped.load(Ordering::Relaxed) {
            for writer in &writers {
                writer.execute("INSERT INTO t VALUES (?1)", (written,)).unwrap();
            }
            written += 1;
        }
        written
    });
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (tar, size) = back_up(state.path(), scratch.path()).unwrap();
        assert_eq!(tar.metadata().unwrap().len(), size);
        let restored = unpacked(tar);
        let counts = ["first.db", "second.db"].map(|name| {
            let connection = Connection::open(restored.path().join(name)).unwrap();
            let check: String = connection
                .query_row("PRAGMA integrity_check", (), |row| row.get(0))
                .unwrap();
            assert_eq!(check, "ok");
            number(&connection, "SELECT count(*) FROM t")
        });
        assert!(matches!(counts[0] - counts[1], 0 | 1), "{counts:?}");
        seen.push(counts[0]);
    }
    stop.store(true, Ordering::Relaxed);
    let written = writing.join().expect("no write failed");
    assert!(seen.is_sorted() && seen[4] <= written, "{seen:?} of {written}");
    assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 0);
}

#[test]
fn copies_are_of_one_moment_while_somebody_writes() {
    is_of_one_moment("", "");
    is_of_one_moment("PRAGMA journal_mode = WAL", "");
    is_of_one_moment("PRAGMA journal_mode = WAL", "PRAGMA journal_mode = WAL");
}

#[test]
fn databases_alone_are_copied_with_their_places_and_modes() {
    use std::os::unix::fs::PermissionsExt as _;

    let (state, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    std::fs::create_dir(state.path().join("below")).unwrap();
    let logged = database(&state.path().join("below/a.db"), "PRAGMA journal_mode = WAL");
    // Only in the log so far.
    logged.execute("INSERT INTO t VALUES (7)", ()).unwrap();
    drop(database(&state.path().join("b.db"), "PRAGMA page_size = 8192"));
    std::fs::write(state.path().join("empty.db"), "").unwrap();
    std::fs::write(state.path().join("notes.txt"), "no database").unwrap();
    std::fs::set_permissions(state.path().join("b.db"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::os::unix::fs::symlink("b.db", state.path().join("link.db")).unwrap();

    let restored = unpacked(back_up(state.path(), scratch.path()).unwrap().0);
    let names = files(restored.path()).unwrap();
    let mut names: Vec<_> = names
        .iter()
        .map(|path| path.strip_prefix(restored.path()).unwrap().to_str().unwrap())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["b.db", "below/a.db"]);
    let b = restored.path().join("b.db");
    assert_eq!(b.metadata().unwrap().mode() & PERMISSIONS, 0o640);
    assert_eq!(number(&Connection::open(b).unwrap(), "PRAGMA page_size"), 8192);
    let a = Connection::open(restored.path().join("below/a.db")).unwrap();
    assert_eq!(number(&a, "SELECT n FROM t"), 7);
    let mode: String = a.query_row("PRAGMA journal_mode", (), |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn nothing_to_copy_is_told() {
    let (state, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let none = back_up(&state.path().join("never"), scratch.path());
    assert!(matches!(none, Err(BackupError::NoDatabase(_))));
}

#[test]
fn a_transaction_that_does_not_end_is_waited_for_while_others_go_on() {
    let (state, scratch) = (TempDir::new().unwrap(), TempDir::new().unwrap());
    let held = database(&state.path().join("a.db"), "");
    let other = database(&state.path().join("b.db"), "");
    held.execute_batch("BEGIN IMMEDIATE; INSERT INTO t VALUES (1)")
        .unwrap();
    std::thread::scope(|scope| {
        let copying = scope.spawn(|| back_up(state.path(), scratch.path()));
        for _ in 0..20 {
            other.execute("INSERT INTO t VALUES (1)", ()).unwrap();
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!copying.is_finished());
        held.execute_batch("COMMIT").unwrap();
        let restored = unpacked(copying.join().unwrap().unwrap().0);
        for name in ["a.db", "b.db"] {
            let connection = Connection::open(restored.path().join(name)).unwrap();
            assert!(number(&connection, "SELECT count(*) FROM t") > 0, "{name}");
        }
    });
}
