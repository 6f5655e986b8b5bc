//! The content store and the compiled code: damaged, deleted, shared.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::artifact::Artifact;
use crate::support::prelude::*;
use crate::support::wait::until;

fn packed(version: &str) -> Artifact {
    Artifact::of(&App::of("probe", version), Shape::Spin4)
}

fn app_file(reference: &str) -> serde_json::Value {
    json!({"reference": reference, "address": "127.0.0.1:0"})
}

/// Changes one byte in the middle of the largest file in a directory; its length stays.
fn damage_the_largest_in(directory: &Path) {
    let entries = fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let largest = paths
        .max_by_key(|path| path.metadata().expect("a file").len())
        .expect("a file");
    let mut content = fs::read(&largest).expect("a file");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    // Content may be read-only: a new file takes its place, as a broken disk would not ask either.
    fs::remove_file(&largest).expect("a file");
    fs::write(&largest, content).expect("a file");
}

/// Again while the daemon still writes into it.
async fn delete(directory: &Path) {
    until("the cache to be deleted", async || {
        fs::remove_dir_all(directory).map_err(|error| error.to_string())
    })
    .await;
}

fn below(daemon: &Daemon, directory: &str) -> PathBuf {
    daemon.cache().join(directory)
}

#[tokio::test]
async fn damaged_compiled_code_is_noticed_and_compiled_again() {
    let layout = Layout::with(&App::of("c-hello", "1"));
    let mut daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("app", &layout.file("v1")).await;
    daemon.stop().await;
    damage_the_largest_in(&below(&daemon, "code"));
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert_eq!(get(address, "/").await.unwrap().text(), "hello\n");
    daemon.wait_log("damaged compiled code removed").await;
}

#[tokio::test]
async fn damaged_content_is_noticed_and_fetched_again() {
    let registry = Registry::plain().await;
    let artifact = Artifact::of(&App::of("c-hello", "1"), Shape::Spin4);
    let reference = registry.push_artifact(&artifact, "apps/hello:v1").await;
    let mut daemon = Daemon::builder().own_cache().start().await;
    daemon.serve("app", &app_file(&reference)).await;
    daemon.stop().await;
    damage_the_largest_in(&below(&daemon, "blobs/sha256"));
    // Compiled code would make the content unnecessary.
    fs::remove_dir_all(below(&daemon, "code")).unwrap();
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert_eq!(get(address, "/").await.unwrap().text(), "hello\n");
}

#[tokio::test]
async fn a_cache_deleted_under_a_running_daemon_is_filled_again() {
    let registry = Registry::plain().await;
    let first = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let second = registry.push_artifact(&packed("2"), "apps/probe:v2").await;
    let mut daemon = Daemon::builder().own_cache().start().await;
    let address = daemon.serve("app", &app_file(&first)).await;
    delete(daemon.cache()).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    daemon.write_app("app", &app_file(&second));
    daemon.wait_digest("app", &packed("2").digest()).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");

    daemon.stop().await;
    delete(daemon.cache()).await;
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}

#[tokio::test]
async fn two_daemons_may_share_a_cache() {
    let registry = Registry::plain().await;
    let reference = registry.push_artifact(&packed("1"), "apps/probe:v1").await;
    let file = app_file(&reference);
    let first = Daemon::builder().own_cache().app("app", &file);
    let first = first.start().await;
    let second = Daemon::builder()
        .cache(first.cache().to_owned())
        .app("app", &file)
        .start()
        .await;
    for daemon in [&first, &second] {
        let address = daemon.address("app").await;
        assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    }
    // One that comes later finds everything.
    let fetched = registry
        .accesses()
        .iter()
        .filter(|access| access.is_blob())
        .count();
    let third = Daemon::builder()
        .cache(first.cache().to_owned())
        .app("app", &file)
        .start()
        .await;
    third.wait_state("app", "running").await;
    let all = registry
        .accesses()
        .iter()
        .filter(|access| access.is_blob())
        .count();
    assert_eq!(all, fetched);
}
