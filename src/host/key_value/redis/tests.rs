//! What needs no server; and, left out of ordinary runs, what needs one: `cargo test -- --ignored redis`.

use std::process::{Child, Command};
use std::time::Duration;

use tempfile::TempDir;

use super::super::store::all_keys;
use super::*;

#[test]
fn a_prefix_is_matched_literally() {
    assert_eq!(pattern("shop:default:"), r"shop:default:*");
    assert_eq!(pattern(r"a*?[b]^c-\:l:"), r"a\*\?\[b\]\^c\-\\:l:*");
}

#[test]
fn a_url_has_one_connection() {
    let servers = Servers::default();
    let url = Secret::new("redis://h:1");
    let one = servers.store(&url, "shop", "default").unwrap();
    let other = servers.store(&url, "blog", "cache").unwrap();
    assert!(Arc::ptr_eq(&one.server, &other.server));
    let third = servers
        .store(&Secret::new("redis://h:2"), "shop", "default")
        .unwrap();
    assert!(!Arc::ptr_eq(&one.server, &third.server));
    assert!(
        servers
            .store(&Secret::new("http://h"), "shop", "default")
            .is_err()
    );
}

/// A server with a socket file, stopped when dropped.
struct Running {
    directory: TempDir,
    server: Child,
}

impl Running {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let server = Self::spawn(&directory);
        let running = Self { directory, server };
        running.wait().await;
        running
    }

    fn spawn(directory: &TempDir) -> Child {
        Command::new("redis-server")
            .args(["--port", "0", "--unixsocket", "socket", "--save", ""])
            .arg("--dir")
            .arg(directory.path())
            .current_dir(directory.path())
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap()
    }

    async fn wait(&self) {
        let path = self.directory.path().join("socket");
        while tokio::net::UnixStream::connect(&path).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn stop(&mut self) {
        self.server.kill().unwrap();
        self.server.wait().unwrap();
    }

    fn store(&self, servers: &Servers, app: &str, label: &str) -> RedisStore {
        let path = self.directory.path().join("socket");
        let url = Secret::new(format!("redis+unix://{}", path.display()));
        servers.store(&url, app, label).unwrap()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_does_what_a_store_does() {
    let running = Running::start().await;
    let servers = Servers::default();
    let store = running.store(&servers, "sh*p", "default");
    let neighbour = running.store(&servers, "shop", "default");
    neighbour.set("theirs", Vec::new()).await.unwrap();

    let names = ["", "\0", "a\0b", "a:b", "*", "ключ"];
    for name in names {
        store.set(name, name.into()).await.unwrap();
        assert_eq!(store.get(name).await.unwrap(), Some(name.into()), "{name:?}");
    }
    let mut keys = all_keys(store.keys()).await.unwrap();
    keys.sort();
    let mut expected = names.map(String::from).to_vec();
    expected.sort();
    assert_eq!(keys, expected);
    assert!(!neighbour.exists("*").await.unwrap());
    store.delete("*").await.unwrap();
    store.delete("*").await.unwrap();
    assert_eq!(store.get("*").await.unwrap(), None);

    let pairs = (0..2_500).map(|number| (format!("n{number}"), vec![7])).collect();
    store.set_many(pairs).await.unwrap();
    let all = all_keys(store.keys()).await.unwrap();
    assert_eq!(all.iter().filter(|key| key.starts_with('n')).count(), 2_500);
    let found = store
        .get_many(vec!["n1".into(), "x".into(), "n0".into()])
        .await
        .unwrap();
    assert_eq!(
        found,
        [
            ("n1".to_string(), Some(vec![7])),
            ("x".into(), None),
            ("n0".into(), Some(vec![7]))
        ]
    );
    store.delete_many(vec!["n1".into(), "x".into()]).await.unwrap();
    assert!(!store.exists("n1").await.unwrap());
    store.set_many(Vec::new()).await.unwrap();
    store.delete_many(Vec::new()).await.unwrap();

    assert_eq!(store.increment("count", 5).await.unwrap(), 5);
    assert_eq!(store.increment("count", -7).await.unwrap(), -2);
    assert_eq!(store.get("count").await.unwrap().unwrap(), b"-2");
    store.set("count", b"five".to_vec()).await.unwrap();
    let error = store.increment("count", 1).await.unwrap_err();
    assert!(error.0.contains("not an integer"), "{error}");
}

#[tokio::test]
#[ignore = "needs redis-server"]
async fn redis_swaps_only_if_nothing_changed() {
    let running = Running::start().await;
    let store = running.store(&Servers::default(), "shop", "default");
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
#[ignore = "needs redis-server"]
async fn redis_is_found_again_after_it_was_away() {
    let mut running = Running::start().await;
    let store = running.store(&Servers::default(), "shop", "default");
    store.set("k", Vec::new()).await.unwrap();
    running.stop();
    let error = store.get("k").await.unwrap_err();
    assert!(
        error.0.starts_with("no connection to the Redis server"),
        "{error}"
    );
    running.server = Running::spawn(&running.directory);
    running.wait().await;
    assert_eq!(store.get("k").await.unwrap(), None);
    // A restart that no call saw is not seen at all.
    running.stop();
    running.server = Running::spawn(&running.directory);
    running.wait().await;
    store.set("k", Vec::new()).await.unwrap();
}
