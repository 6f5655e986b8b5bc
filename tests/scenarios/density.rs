//! Many apps in one process: what those cost that nobody asks, and what happens when the process may have no more.

use std::collections::BTreeSet;
use std::fs;

use rustix::process::{Resource, Rlimit, Signal, prlimit};

use super::backends::run;
use crate::support::prelude::*;
use crate::support::wait::until;

/// Descriptors that are more than enough for a daemon of a test.
const AMPLE: u64 = 4096;

/// Descriptors that are left.
const FREE: usize = 10;

/// Whether any compiled code is mapped.
fn has_code(daemon: &Daemon) -> bool {
    let code = daemon.cache().join("code").display().to_string();
    let maps = fs::read_to_string(daemon.proc("maps")).expect("it runs");
    maps.contains(&code)
}

#[tokio::test]
async fn code_is_mapped_while_it_is_asked_for() {
    let layout = Layout::with(&App::of("c-hello", "1"));
    let mut daemon = Daemon::builder().own_cache().start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let hello = async |address| assert_eq!(get(address, "/").await.unwrap().text(), "hello\n");
    hello(address).await;
    assert!(has_code(&daemon));
    until("the idle code to be let go", async || match has_code(&daemon) {
        true => Err("it is mapped".to_owned()),
        false => Ok(()),
    })
    .await;
    hello(address).await;
    assert!(has_code(&daemon));

    // What has been tried before is not looked at before it is asked for.
    daemon.stop().await;
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert!(!has_code(&daemon));
    hello(address).await;
    assert!(has_code(&daemon));
}

/// Whether the file of a default key-value store is open.
fn has_store(daemon: &Daemon) -> bool {
    let open = fs::read_dir(daemon.proc("fd")).expect("it runs");
    let mut files = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
    files.any(|file| file.ends_with("sqlite_key_value.db"))
}

#[tokio::test]
async fn an_app_that_nobody_asks_is_let_go_with_all_but_its_limits_and_its_state() {
    const STORE: &str = "wasi:keyvalue@0.2.0-draft2";
    let component = Component::new("apis5", guest("apis5")).grant("key_value_stores", "default");
    let layout = Layout::with(&App::new("apis5").component(component).route("/...", "apis5"));
    let daemon = Daemon::start().await;
    let mut file = layout.file("v1");
    file["limits"] = json!({"rate": "1/h", "burst": 2});
    let address = daemon.serve("app", &file).await;
    let set = [json!(["open", "default"]), json!(["set", 0, "name", "value"])];
    run(address, STORE, &set).await;
    assert!(has_store(&daemon));
    until("the idle app to be let go", async || match has_store(&daemon) {
        true => Err("its store is open".to_owned()),
        false => Ok(()),
    })
    .await;

    let read = [json!(["open", "default"]), json!(["get", 0, "name"])];
    assert_eq!(run(address, STORE, &read).await[1], json!({"ok": "value"}));
    // The third request of the hour.
    assert_eq!(get(address, "/").await.unwrap().status, 429);
}

#[tokio::test]
async fn apps_with_one_artifact_share_its_code() {
    let layout = Layout::with(&App::of("c-hello", "1"));
    let daemon = Daemon::builder().own_cache().start().await;
    // Mapped code keeps its file open.
    let files = || {
        let code = daemon.cache().join("code");
        let open = fs::read_dir(daemon.proc("fd")).expect("it runs");
        let open = open.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        open.filter(|file| file.starts_with(&code)).count()
    };
    let first = daemon.serve("first", &layout.file("v1")).await;
    get(first, "/").await.unwrap();
    assert_eq!(files(), 1);
    let second = daemon.serve("second", &layout.file("v1")).await;
    get(second, "/").await.unwrap();
    get(first, "/").await.unwrap();
    assert_eq!(files(), 1);
}

#[tokio::test]
async fn apps_without_descriptors_wait_for_some() {
    let layout = Layout::with(&App::of("c-hello", "1"));
    let daemon = Daemon::start().await;
    let first = daemon.serve("first", &layout.file("v1")).await;
    // Descriptors are numbers, the lowest free one first.
    let open = fs::read_dir(daemon.proc("fd")).expect("it runs");
    let open: BTreeSet<u64> = open
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    let tight = Rlimit {
        current: (0..).filter(|number| !open.contains(number)).nth(FREE),
        maximum: Some(AMPLE),
    };
    let before = prlimit(Some(daemon.pid()), Resource::Nofile, tight).expect("it runs");
    assert_eq!(before.current, before.maximum, "it is raised as far as it may be");
    let apps: Vec<_> = (0..4 * FREE).map(|index| format!("app-{index}")).collect();
    for app in &apps {
        daemon.write_app(app, &layout.file("v1"));
    }
    // The status is not asked for: that takes a descriptor.
    daemon.wait_log("LimitNOFILE=").await;

    let ample = Rlimit {
        current: Some(AMPLE),
        maximum: Some(AMPLE),
    };
    prlimit(Some(daemon.pid()), Resource::Nofile, ample).expect("it runs");
    // Some files could not even be read.
    daemon.signal(Signal::HUP);
    for app in &apps {
        let address = daemon.address(app).await;
        assert_eq!(get(address, "/").await.unwrap().text(), "hello\n");
    }
    assert_eq!(get(first, "/").await.unwrap().text(), "hello\n");
}
