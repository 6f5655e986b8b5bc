use futures::future::{join_all, poll_immediate};
use futures::{FutureExt, TryStreamExt};
use rusqlite::Connection;
use rusqlite::types::Value;
use tempfile::TempDir;

use super::super::store::all_keys;
use super::*;

const FIXTURE: &[u8] = include_bytes!("../../../../tests/fixtures/spin-up-state/sqlite_key_value.db");

/// A directory with a database of its own.
struct Room {
    databases: Databases,
    directory: TempDir,
}

impl Room {
    fn new() -> Self {
        Self {
            databases: Databases::default(),
            directory: TempDir::new().unwrap(),
        }
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join("kv.db")
    }

    fn store(&self, label: &str) -> SqliteStore {
        self.databases.file(&self.path(), label)
    }

    /// As another process would see it.
    fn outside(&self) -> Connection {
        Connection::open(self.path()).unwrap()
    }
}

fn keys<T: Into<String>>(keys: impl IntoIterator<Item = T>) -> Vec<String> {
    keys.into_iter().map(Into::into).collect()
}

async fn sorted(store: &SqliteStore) -> Vec<String> {
    let mut keys = all_keys(store.keys()).await.unwrap();
    keys.sort();
    keys
}

#[tokio::test]
async fn what_spin_up_left_is_read() {
    let room = Room::new();
    std::fs::write(room.path(), FIXTURE).unwrap();
    let store = room.store("default");
    assert_eq!(store.get("a").await.unwrap().as_deref(), Some(&b"3"[..]));
    assert_eq!(sorted(&store).await, ["a", "b"]);
    store.set("c", b"new".to_vec()).await.unwrap();
    drop((store, room.databases));

    let connection = Connection::open(room.directory.path().join("kv.db")).unwrap();
    let value = |text: &str| Value::Blob(text.into());
    let row = |key: &str, text: &str| ("default".into(), key.into(), value(text));
    assert_eq!(
        schema::rows(&connection),
        [row("a", "3"), row("b", "1"), row("c", "new")]
    );
}

#[tokio::test]
async fn a_new_file_has_the_table_that_spin_up_makes() {
    /// Columns with their types and constraints, and how the file keeps its journal.
    fn shape(connection: &Connection) -> Vec<String> {
        let mut shape = Vec::new();
        for pragma in [
            "PRAGMA table_xinfo(spin_key_value)",
            "PRAGMA index_list(spin_key_value)",
            "PRAGMA journal_mode",
            "PRAGMA user_version",
            "PRAGMA encoding",
        ] {
            let mut statement = connection.prepare(pragma).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query(()).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let row: Vec<Value> = (0..columns).map(|at| row.get(at).unwrap()).collect();
                shape.push(format!("{row:?}"));
            }
        }
        shape
    }

    let room = Room::new();
    room.store("default").set("k", Vec::new()).await.unwrap();
    let theirs = Room::new();
    std::fs::write(theirs.path(), FIXTURE).unwrap();
    assert_eq!(shape(&room.outside()), shape(&theirs.outside()));
}

#[tokio::test]
async fn every_key_and_value_comes_back_as_it_was_set() {
    let room = Room::new();
    let store = room.store("default");
    let names = ["", "\0", "a\0b", "a", "a/b", "%_*", "ключ", "🔑", "A"];
    for name in names {
        store.set(name, name.repeat(3).into_bytes()).await.unwrap();
    }
    for name in names {
        assert_eq!(
            store.get(name).await.unwrap(),
            Some(name.repeat(3).into_bytes()),
            "{name:?}"
        );
        assert!(store.exists(name).await.unwrap());
    }
    let mut expected = keys(names);
    expected.sort();
    assert_eq!(sorted(&store).await, expected);
    assert_eq!(store.get("missing").await.unwrap(), None);
    assert!(!store.exists("missing").await.unwrap());
}

#[tokio::test]
async fn an_empty_value_is_no_missing_one() {
    let store = Room::new();
    let store = store.store("default");
    store.set("k", b"x".to_vec()).await.unwrap();
    store.set("k", Vec::new()).await.unwrap();
    assert_eq!(store.get("k").await.unwrap(), Some(Vec::new()));
    store.delete("k").await.unwrap();
    assert_eq!(store.get("k").await.unwrap(), None);
    store.delete("k").await.unwrap();
}

#[tokio::test]
async fn labels_of_one_file_are_apart() {
    let room = Room::new();
    let (one, other) = (room.store("one"), room.store("other"));
    one.set("k", b"1".to_vec()).await.unwrap();
    assert_eq!(other.get("k").await.unwrap(), None);
    assert_eq!(sorted(&other).await, keys::<&str>([]));
    other.delete("k").await.unwrap();
    assert!(one.exists("k").await.unwrap());
}

#[tokio::test]
async fn a_file_has_one_connection_however_it_is_named() {
    let room = Room::new();
    let one = room.store("default");
    std::os::unix::fs::symlink(room.directory.path(), room.directory.path().join("link")).unwrap();
    let other = room
        .databases
        .file(&room.directory.path().join("link/kv.db"), "default");
    assert!(Arc::ptr_eq(&one.database, &other.database));
    one.set("k", b"1".to_vec()).await.unwrap();
    // And when it exists.
    let third = room
        .databases
        .file(&room.directory.path().join("link/link/./kv.db"), "default");
    assert!(Arc::ptr_eq(&one.database, &third.database));
    assert_eq!(third.get("k").await.unwrap().as_deref(), Some(&b"1"[..]));
}

#[tokio::test]
async fn memory_belongs_to_one_label_of_one_app_and_lasts_while_it_is_used() {
    let databases = Databases::default();
    let (shop, blog): (Arc<str>, Arc<str>) = ("shop".into(), "blog".into());
    let old = databases.memory(&shop, "default");
    old.set("k", b"1".to_vec()).await.unwrap();
    let new = databases.memory(&shop, "default");
    drop(old);
    assert!(new.exists("k").await.unwrap());
    assert!(!databases.memory(&blog, "default").exists("k").await.unwrap());
    assert!(!databases.memory(&shop, "other").exists("k").await.unwrap());
    drop(new);
    // The thread that has answered keeps it for a moment.
    let key = (shop.clone(), "default".to_owned());
    while databases.memory.lock().unwrap()[&key].strong_count() > 0 {
        tokio::task::yield_now().await;
    }
    assert!(!databases.memory(&shop, "default").exists("k").await.unwrap());
}

#[tokio::test]
async fn many_keys_come_in_order_page_by_page() {
    let room = Room::new();
    let store = room.store("default");
    let names = keys((0..2_500).map(|number| format!("{number:05}")));
    let pairs = names.iter().map(|name| (name.clone(), Vec::new())).collect();
    store.set_many(pairs).await.unwrap();
    store.set("", Vec::new()).await.unwrap();
    let pages: Vec<_> = store.keys().try_collect().await.unwrap();
    assert_eq!(pages.len(), 3);
    let mut expected = keys([""]);
    expected.extend(names);
    assert_eq!(pages.concat(), expected);
}

#[tokio::test]
async fn long_keys_make_short_pages() {
    let room = Room::new();
    let store = room.store("default");
    for number in 0..4 {
        let key = format!("{number}{}", "k".repeat(700_000));
        store.set(&key, Vec::new()).await.unwrap();
    }
    let pages: Vec<_> = store.keys().try_collect().await.unwrap();
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 0]);
}

#[tokio::test]
async fn a_value_larger_than_one_result_may_be_is_an_error() {
    let room = Room::new();
    let store = room.store("default");
    store.set("k", Vec::new()).await.unwrap();
    let outside = room.outside();
    let fill = |bytes: usize| {
        let bytes = bytes as u32;
        outside
            .execute("UPDATE spin_key_value SET value = zeroblob(?1)", [bytes])
            .unwrap()
    };
    fill(crate::host::limits::MAX_BUFFERED + 1);
    assert_eq!(store.get("k").await, Err(StoreError::too_large()));
    fill(crate::host::limits::MAX_BUFFERED);
    assert_eq!(
        store.get("k").await.unwrap().map(|value| value.len()),
        Some(crate::host::limits::MAX_BUFFERED)
    );
    // Two of them together are too many.
    assert_eq!(
        store.get_many(keys(["k", "k"])).await,
        Err(StoreError::too_large())
    );
}

#[tokio::test]
async fn many_values_come_in_the_order_they_were_asked_for() {
    let room = Room::new();
    let store = room.store("default");
    let pairs = vec![
        ("b".to_string(), b"1".to_vec()),
        ("a".into(), b"2".to_vec()),
        ("b".into(), b"3".to_vec()),
    ];
    store.set_many(pairs).await.unwrap();
    let found = store.get_many(keys(["b", "x", "a", "b"])).await.unwrap();
    let pair = |key: &str, value: Option<&str>| (key.to_string(), value.map(|value| value.into()));
    assert_eq!(
        found,
        [
            pair("b", Some("3")),
            pair("x", None),
            pair("a", Some("2")),
            pair("b", Some("3"))
        ]
    );
    store.delete_many(keys(["a", "x"])).await.unwrap();
    assert_eq!(sorted(&store).await, ["b"]);
}

#[tokio::test]
async fn many_keys_are_set_together_or_not_at_all() {
    let room = Room::new();
    let store = room.store("default");
    store.set("old", Vec::new()).await.unwrap();
    room.outside()
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON spin_key_value WHEN new.key = 'bad'
             BEGIN SELECT RAISE(ABORT, 'refused'); END",
        )
        .unwrap();
    let pairs = ["a", "bad", "b"].map(|key| (key.to_string(), Vec::new()));
    // Beside others of the same transaction.
    let (many, one) = tokio::join!(store.set_many(pairs.into()), store.set("one", Vec::new()));
    assert_eq!(many, Err(StoreError::new("refused")));
    one.unwrap();
    assert_eq!(sorted(&store).await, ["old", "one"]);
}

#[tokio::test]
async fn counters_are_eight_bytes_the_lowest_first() {
    let room = Room::new();
    let store = room.store("default");
    assert_eq!(store.increment("n", 258).await.unwrap(), 258);
    assert_eq!(store.get("n").await.unwrap().unwrap(), [2, 1, 0, 0, 0, 0, 0, 0]);
    assert_eq!(store.increment("n", -300).await.unwrap(), -42);
    assert_eq!(store.increment("n", 0).await.unwrap(), -42);
}

#[tokio::test]
async fn a_bad_increment_is_an_error_and_changes_nothing() {
    let room = Room::new();
    let store = room.store("default");
    for value in ["", "5", "123456789"] {
        store.set("n", value.into()).await.unwrap();
        let error = store.increment("n", 1).await.unwrap_err();
        assert!(
            error.0.contains(r#""n""#) && error.0.contains("8 bytes"),
            "{error}"
        );
        assert_eq!(store.get("n").await.unwrap().unwrap(), value.as_bytes());
    }
    store.delete("n").await.unwrap();
    assert_eq!(store.increment("n", i64::MAX).await.unwrap(), i64::MAX);
    let error = store.increment("n", 1).await.unwrap_err();
    assert!(error.0.contains("64 bits"), "{error}");
    assert_eq!(store.increment("n", -1).await.unwrap(), i64::MAX - 1);
}

#[tokio::test]
async fn increments_from_all_sides_all_count() {
    let room = Room::new();
    let (one, other) = (room.store("default"), room.store("default"));
    let calls = (0..600).map(|number| if number % 2 == 0 { &one } else { &other }.increment("n", 1));
    let mut results: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    results.sort();
    assert_eq!(results, (1..=600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_swap_happens_only_if_nothing_changed() {
    let room = Room::new();
    let store = room.store("default");
    let value = |text: &str| Expected::Value(Some(text.into()));
    let missing = || Expected::Value(None);
    let swap = async |expected, new: &str| store.swap("k", expected, new.into()).await.unwrap();

    assert_eq!(swap(value("x"), "1").await, Swap::Changed(None));
    assert_eq!(swap(missing(), "1").await, Swap::Done);
    assert_eq!(swap(missing(), "2").await, Swap::Changed(Some(b"1".to_vec())));
    assert_eq!(swap(value("1"), "").await, Swap::Done);
    assert_eq!(swap(missing(), "2").await, Swap::Changed(Some(Vec::new())));
    assert_eq!(swap(value(""), "2").await, Swap::Done);
    assert_eq!(swap(Expected::Anything, "3").await, Swap::Done);
    assert_eq!(store.get("k").await.unwrap().unwrap(), b"3");
}

#[tokio::test]
async fn another_process_that_writes_is_waited_for() {
    let room = Room::new();
    let store = room.store("default");
    store.set("k", b"1".to_vec()).await.unwrap();
    let outside = room.outside();
    outside
        .execute_batch("BEGIN EXCLUSIVE; UPDATE spin_key_value SET value = x'32'")
        .unwrap();
    let mut write = store.swap("k", Expected::Value(Some(b"2".to_vec())), b"3".to_vec());
    assert_eq!(poll_immediate(&mut write).await, None);
    outside.execute_batch("COMMIT").unwrap();
    assert_eq!(write.await.unwrap(), Swap::Done);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_is_an_error_for_all_in_it() {
    let room = Room::new();
    let store = room.store("default");
    store.set("k", Vec::new()).await.unwrap();
    let outside = room.outside();
    outside
        .execute_batch(
            "CREATE TRIGGER refuse BEFORE INSERT ON spin_key_value WHEN new.key = 'bad'
             BEGIN SELECT RAISE(ROLLBACK, 'refused'); END;
             BEGIN EXCLUSIVE",
        )
        .unwrap();
    // The first waits for the lock, and the others for it.
    let mut first = store.set("first", Vec::new());
    assert_eq!(poll_immediate(&mut first).await, None);
    while !store.database.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut calls: Vec<_> = ["before", "bad", "after"]
        .map(|key| store.set(key, Vec::new()))
        .into();
    for call in &mut calls {
        assert_eq!(poll_immediate(call).await, None);
    }
    outside.execute_batch("COMMIT").unwrap();
    first.await.unwrap();
    let results = join_all(calls).await;
    assert_eq!(results[1], Err(StoreError::new("refused")));
    assert!(results[0].is_err() && results[2].is_err(), "{results:?}");
    assert_eq!(sorted(&store).await, ["first", "k"]);
    store.set("before", Vec::new()).await.unwrap();
}

#[tokio::test]
async fn a_place_that_is_no_directory_is_an_error_until_it_is_mended() {
    let room = Room::new();
    let directory = room.directory.path().join("data");
    std::fs::write(&directory, "").unwrap();
    let store = room.databases.file(&directory.join("deeper/kv.db"), "default");
    for result in [store.set("k", Vec::new()).await, store.delete("k").await] {
        assert!(result.unwrap_err().0.contains("deeper"));
    }
    assert!(store.get("k").await.is_err());
    std::fs::remove_file(&directory).unwrap();
    store.set("k", Vec::new()).await.unwrap();
    assert!(store.exists("k").await.unwrap());
}

#[tokio::test]
async fn a_file_that_is_replaced_is_opened_anew() {
    let room = Room::new();
    let store = room.store("default");
    store.set("mine", Vec::new()).await.unwrap();
    let restored = room.directory.path().join("restored.db");
    std::fs::write(&restored, FIXTURE).unwrap();
    std::fs::rename(restored, room.path()).unwrap();
    assert_eq!(sorted(&store).await, ["a", "b"]);
    std::fs::remove_file(room.path()).unwrap();
    store.set("again", Vec::new()).await.unwrap();
    assert_eq!(sorted(&store).await, ["again"]);
    assert!(room.path().exists());
}

#[tokio::test]
async fn a_file_that_is_no_database_is_an_error_in_sqlites_words() {
    let room = Room::new();
    std::fs::write(room.path(), "not a database, but long enough to look like one").unwrap();
    let error = room.store("default").get("k").await.unwrap_err();
    assert_eq!(error.0, "file is not a database");
}

#[tokio::test]
async fn text_of_another_program_is_bytes_and_a_number_is_an_error() {
    let room = Room::new();
    let store = room.store("default");
    store.set("k", Vec::new()).await.unwrap();
    let outside = room.outside();
    outside
        .execute("UPDATE spin_key_value SET value = 'text'", ())
        .unwrap();
    assert_eq!(store.get("k").await.unwrap().unwrap(), b"text");
    outside
        .execute("UPDATE spin_key_value SET value = 5", ())
        .unwrap();
    let error = store.get("k").await.unwrap_err();
    assert!(error.0.contains("Integer"), "{error}");
}

#[tokio::test]
async fn a_caller_that_is_gone_harms_nobody() {
    let room = Room::new();
    let store = room.store("default");
    assert!(store.set("gone", Vec::new()).now_or_never().is_none());
    store.set("k", Vec::new()).await.unwrap();
    assert!(store.exists("gone").await.unwrap());
}

#[test]
fn a_panic_in_one_call_is_an_error_and_the_next_call_works() {
    let room = Room::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = room.store("default");
        let broken: Result<(), _> = store.database.write(None, |_| panic!("a mistake")).await;
        assert!(broken.is_err());
        store.set("k", Vec::new()).await.unwrap();
        assert!(store.exists("k").await.unwrap());
    });
}
