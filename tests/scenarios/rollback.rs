//! What served, going back to it, and copies of what apps keep.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use super::backends::run;
use crate::support::artifact::Artifact;
use crate::support::load::{Load, failures};
use crate::support::prelude::*;
use crate::support::wait::until;

const CLIENTS: usize = 2;

fn packed(version: &str) -> Artifact {
    Artifact::of(&App::of("probe", version), Shape::Spin4)
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that is to succeed; what it prints.
async fn printed(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.command(arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a command that is to be refused; the reason.
async fn refused(daemon: &Daemon, arguments: &[&str]) -> String {
    let output = daemon.command(arguments).await;
    assert!(!output.status.success(), "{arguments:?} was not refused");
    assert_eq!(output.stdout, b"");
    said(&output)
}

async fn version(address: SocketAddr) -> String {
    get(address, "/version").await.unwrap().text().to_owned()
}

/// The number of the version that an app is pinned to.
async fn pinned(daemon: &Daemon, id: &str) -> Option<u64> {
    let status = daemon.status().await;
    status["apps"][id]["pinned"]["version"].as_u64()
}

/// Each version's number and end, in order of time.
async fn history(daemon: &Daemon, id: &str) -> Vec<(u64, String)> {
    let text = printed(daemon, &["history", id, "--json"]).await;
    let history: Value = serde_json::from_str(&text).unwrap();
    let versions = history["versions"].as_array().unwrap().iter().rev();
    let ends = versions.map(|version| {
        let end = version["ended"].as_str().unwrap_or("serves");
        (version["version"].as_u64().unwrap(), end.to_owned())
    });
    ends.collect()
}

fn ends(ends: &[(u64, &str)]) -> Vec<(u64, String)> {
    ends.iter()
        .map(|(version, end)| (*version, (*end).to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_goes_back_under_load_and_stays_there_until_its_file_changes() {
    let mut layout = Layout::new();
    let digests: Vec<_> = (1..=3)
        .map(|n| layout.add(&format!("v{n}"), &App::of("probe", &n.to_string())))
        .collect();
    let mut daemon = Daemon::start().await;
    let mut file = layout.file("v1");
    file["address"] = format!("127.0.0.1:{}", crate::support::registry::free_port()).into();
    let address = daemon.serve("app", &file).await;
    for (tag, digest) in ["v2", "v3"].iter().zip(&digests[1..]) {
        file["reference"] = layout.reference(tag).into();
        daemon.write_app("app", &file);
        daemon.wait_digest("app", digest).await;
    }

    let load = Load::start(address, CLIENTS);
    let told = printed(&daemon, &["rollback", "app"]).await;
    assert!(
        told.contains(&format!("app serves version 2, {}", digests[1])),
        "{told}"
    );
    assert_eq!(version(address).await, "2");
    let told = printed(&daemon, &["rollback", "app", &digests[0][..15]]).await;
    assert!(told.contains("version 1"), "{told}");
    assert_eq!(
        (version(address).await.as_str(), pinned(&daemon, "app").await),
        ("1", Some(1))
    );
    printed(&daemon, &["rollback", "app", "--undo"]).await;
    daemon.wait_digest("app", &digests[2]).await;
    printed(&daemon, &["rollback", "app", "2"]).await;
    let outcomes = load.stop().await;
    assert!(
        outcomes.len() > CLIENTS * 4,
        "{} requests are no load",
        outcomes.len()
    );
    assert_eq!(failures(&outcomes), [""; 0]);

    let told = [
        (1, "replaced"),
        (2, "replaced"),
        (3, "rolled-back"),
        (2, "rolled-back"),
        (1, "replaced"),
        (3, "rolled-back"),
        (2, "serves"),
    ];
    assert_eq!(history(&daemon, "app").await, ends(&told));
    let table = printed(&daemon, &["status"]).await;
    assert!(
        table.contains("running, pinned") && table.contains("app: pinned to version 2 since"),
        "{table}"
    );
    let table = printed(&daemon, &["history", "app"]).await;
    assert!(
        table.contains(&layout.reference("v3")) && table.contains(&digests[0][..19]),
        "{table}"
    );

    daemon.stop().await;
    daemon.start_again().await;
    daemon.wait_digest("app", &digests[1]).await;
    assert_eq!(
        (version(address).await.as_str(), pinned(&daemon, "app").await),
        ("2", Some(2))
    );
    assert_eq!(history(&daemon, "app").await, ends(&told));

    // The time of the file is no content of it.
    let touched = std::fs::File::options()
        .append(true)
        .open(daemon.file("app"))
        .unwrap();
    touched.set_modified(std::time::SystemTime::now()).unwrap();
    daemon.write_app("app", &file);
    daemon.serve("later", &layout.file("v1")).await;
    assert_eq!(pinned(&daemon, "app").await, Some(2));
    file["drain_timeout"] = "5s".into();
    daemon.write_app("app", &file);
    daemon.wait_digest("app", &digests[2]).await;
    assert_eq!(pinned(&daemon, "app").await, None);
    assert!(
        refused(&daemon, &["rollback", "app", "--undo"])
            .await
            .contains("not pinned")
    );
}

#[tokio::test]
async fn what_is_gone_back_to_is_fetched_again_and_refused_when_it_cant_be() {
    let mut registry = Registry::plain().await;
    let [first, second, third] = ["1", "2", "3"].map(packed);
    let reference = registry.push_artifact(&first, "apps/probe:latest").await;
    let file = json!({"reference": reference, "address": "127.0.0.1:0", "pull": "1s"});
    // What no app needs any more is removed at once.
    let daemon = Daemon::builder()
        .own_cache()
        .arg("--cache-size")
        .arg("0B")
        .start()
        .await;
    let address = daemon.serve("app", &file).await;
    registry.push_artifact(&second, "apps/probe:latest").await;
    daemon.wait_digest("app", &second.digest()).await;
    let manifest = daemon
        .cache()
        .join("blobs/sha256")
        .join(&first.digest()["sha256:".len()..]);
    until("the first version to be pruned", async || {
        (!manifest.exists())
            .then_some(())
            .ok_or_else(|| "it is still there".to_owned())
    })
    .await;

    printed(&daemon, &["rollback", "app"]).await;
    assert_eq!(version(address).await, "1");
    let by_digest = |access: &crate::support::registry::Access| access.path.ends_with(&first.digest());
    assert!(
        registry.accesses().iter().any(by_digest),
        "{:?}",
        registry.accesses()
    );

    // A tag that moves is no reason to leave it.
    registry.push_artifact(&third, "apps/probe:latest").await;
    let other = daemon.serve("other", &file).await;
    daemon.wait_digest("other", &third.digest()).await;
    assert_eq!(version(other).await, "3");
    assert_eq!(
        (version(address).await.as_str(), pinned(&daemon, "app").await),
        ("1", Some(1))
    );

    let manifest = daemon
        .cache()
        .join("blobs/sha256")
        .join(&second.digest()["sha256:".len()..]);
    until("the second version to be pruned", async || {
        (!manifest.exists())
            .then_some(())
            .ok_or_else(|| "it is still there".to_owned())
    })
    .await;
    registry.stop();
    let before = daemon.app("app").await;
    let reason = refused(&daemon, &["rollback", "app", "2"]).await;
    assert!(
        reason.contains("version 2")
            && reason.contains(&second.digest())
            && reason.contains(&registry.host()),
        "{reason}"
    );
    for unknown in ["9", &third.digest()] {
        let reason = refused(&daemon, &["rollback", "app", unknown]).await;
        assert!(
            reason.contains(unknown) && reason.contains("history app"),
            "{reason}"
        );
    }
    assert!(
        refused(&daemon, &["rollback", "nobody"])
            .await
            .contains("no app `nobody`")
    );
    assert_eq!(
        (format!("{:?}", daemon.app("app").await), version(address).await),
        (format!("{before:?}"), "1".to_owned())
    );
}

const KEY_VALUE: &str = "fermyon:spin/key-value@2.0.0";
const SQLITE: &str = "fermyon:spin/sqlite@2.0.0";

/// The results of a script, each of which must be `ok`.
async fn ask(address: SocketAddr, interface: &str, script: &[Value]) -> Value {
    let results = run(address, interface, script).await;
    assert!(
        results.iter().all(|result| result.get("ok").is_some()),
        "{results:?}"
    );
    results.last().expect("a result")["ok"].clone()
}

async fn sql(address: SocketAddr, statement: &str) -> Value {
    let script = [json!(["open", "default"]), json!(["execute", 0, statement, []])];
    ask(address, SQLITE, &script).await
}

async fn rows(address: SocketAddr) -> u64 {
    let answer = sql(address, "SELECT count(*) FROM t").await;
    answer["rows"][0]["values"][0]["integer"]
        .as_u64()
        .unwrap_or_else(|| panic!("{answer}"))
}

async fn noted(address: SocketAddr) -> u64 {
    let script = [json!(["open", "default"]), json!(["get", 0, "count"])];
    let text = ask(address, KEY_VALUE, &script).await;
    text.as_str().unwrap_or_else(|| panic!("{text}")).parse().unwrap()
}

/// Adds a row, and notes in the key-value store how many there are.
async fn write(address: SocketAddr, number: u64) {
    sql(address, "INSERT INTO t VALUES (1)").await;
    let set = json!(["set", 0, "count", number.to_string()]);
    ask(address, KEY_VALUE, &[json!(["open", "default"]), set]).await;
}

fn unpack(tar: &Path, into: &Path) -> Vec<String> {
    let list = |archive: &mut tar::Archive<std::fs::File>| {
        let entries = archive.entries().unwrap();
        let paths = entries.map(|entry| entry.unwrap().path().unwrap().display().to_string());
        paths.collect::<Vec<_>>()
    };
    let open = || tar::Archive::new(std::fs::File::open(tar).unwrap());
    open().unpack(into).unwrap();
    list(&mut open())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_of_an_app_that_writes_is_of_one_moment_and_can_be_restored() {
    let component = Component::new("apis5", guest("apis5"))
        .grant("key_value_stores", "default")
        .grant("databases", "default");
    let layout = Layout::with(&App::new("apis5").component(component).route("/...", "apis5"));
    let daemon = Daemon::start().await;
    let mut file = layout.file("v1");
    let address = daemon.serve("app", &file).await;
    let tar = daemon.root().join("app.tar");
    let path = tar.to_str().unwrap();
    let reason = refused(&daemon, &["backup", "app", path]).await;
    assert!(reason.contains("no SQLite database") && !tar.exists(), "{reason}");

    sql(address, "CREATE TABLE t (n INTEGER)").await;
    write(address, 1).await;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = stop.clone();
    let writing = tokio::spawn(async move {
        let mut number = 1;
        while !stopped.load(Ordering::Relaxed) {
            number += 1;
            write(address, number).await;
        }
        number
    });
    let enough = async |least: u64| {
        until("more rows", async || {
            let rows = rows(address).await;
            (rows >= least).then_some(rows).ok_or_else(|| rows.to_string())
        })
        .await
    };
    let before = enough(5).await;
    printed(&daemon, &["backup", "app", path]).await;
    let after = rows(address).await;
    enough(after + 5).await;
    stop.store(true, Ordering::Relaxed);
    let written = writing.await.unwrap();
    let on_stdout = daemon.command(&["backup", "app", "-"]).await;
    assert!(on_stdout.status.success() && on_stdout.stdout.len() >= 1024);

    file["enabled"] = false.into();
    daemon.write_app("app", &file);
    daemon.wait_state("app", "disabled").await;
    // Also of an app that does not serve.
    let second = daemon.root().join("second.tar");
    printed(&daemon, &["backup", "app", second.to_str().unwrap()]).await;
    let state = daemon.root().join("state/app");
    std::fs::remove_dir_all(&state).unwrap();
    assert_eq!(unpack(&tar, &state), ["sqlite_db.db", "sqlite_key_value.db"]);
    file["enabled"] = true.into();
    let address = daemon.serve("app", &file).await;
    let (restored, noted_then) = (rows(address).await, noted(address).await);
    assert!(
        before <= restored && restored <= after,
        "{before} {restored} {after}"
    );
    assert!(restored - noted_then <= 1, "{restored} rows, {noted_then} noted");
    write(address, restored + 1).await;

    let everything = daemon.root().join("everything");
    unpack(&second, &everything);
    let database = rusqlite::Connection::open(everything.join("sqlite_db.db")).unwrap();
    let all: i64 = database
        .query_row("SELECT count(*) FROM t", (), |row| row.get(0))
        .unwrap();
    assert_eq!(u64::try_from(all).unwrap(), written);
}
