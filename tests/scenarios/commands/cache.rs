//! `pull` and `cache`, beside a daemon that goes on.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::artifact::Artifact;
use crate::support::prelude::*;
use crate::support::tool::Tool;

/// The largest file in a directory.
fn largest_in(directory: &Path) -> PathBuf {
    let entries = fs::read_dir(directory).expect("a directory").flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .max_by_key(|path| path.metadata().expect("a file").len())
        .expect("a file")
}

fn damage(path: &Path) {
    let mut content = fs::read(path).expect("a file");
    let middle = content.len() / 2;
    content[middle] ^= 1;
    // Content may be read-only: a new file takes its place, as a broken disk would not ask either.
    fs::remove_file(path).expect("a file");
    fs::write(path, content).expect("a file");
}

#[tokio::test]
async fn what_was_pulled_runs_without_its_registry() {
    let mut registry = Registry::plain().await;
    let artifact = Artifact::of(&App::of("probe", "1"), Shape::Spin4);
    let reference = registry.push_artifact(&artifact, "apps/probe:v1").await;
    let tool = Tool::new();
    let ran = tool.run(&["pull", &reference]).await;
    assert_eq!((ran.code, ran.stdout.trim()), (0, &*artifact.digest()), "{ran:?}");
    assert_eq!(ran.stderr, "");
    registry.stop();
    let daemon = Daemon::builder().cache(tool.cache()).start().await;
    let pinned = format!("{}@{}", registry.reference("apps/probe"), artifact.digest());
    let address = daemon
        .serve("app", &json!({"reference": pinned, "address": "127.0.0.1:0"}))
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    let ran = tool.run(&["pull", &reference]).await;
    assert!(
        ran.code == 1 && ran.stderr.contains("cannot be reached"),
        "{ran:?}"
    );
    let ran = tool.run(&["pull", "Not A Reference"]).await;
    assert!(ran.code == 1 && ran.stderr.contains("a good one is"), "{ran:?}");
}

#[tokio::test]
async fn damage_is_found_and_removed_and_what_runs_goes_on() {
    let layout = Layout::with(
        &App::new("files")
            .component(Component::new("probe", guest("probe")).file("a.txt", "mounted"))
            .route("/...", "probe"),
    );
    let daemon = Daemon::builder().own_cache().start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let tool = Tool::new();
    let cache = daemon.cache().to_str().unwrap().to_owned();
    let command = |more: &[&'static str]| {
        let arguments = [&["cache"], more].concat();
        let (tool, cache) = (&tool, &cache);
        async move {
            tool.run(&[&arguments[..], &["--cache-dir", cache]].concat())
                .await
        }
    };
    let whole = command(&["verify"]).await;
    assert_eq!(
        (whole.code, whole.stdout.as_str()),
        (0, "nothing is damaged\n"),
        "{whole:?}"
    );

    let blob = largest_in(&daemon.cache().join("blobs/sha256"));
    let code = largest_in(&daemon.cache().join("code"));
    let tree = largest_in(&daemon.cache().join("trees"));
    damage(&blob);
    damage(&code);
    fs::remove_file(tree.join("a.txt")).unwrap();
    let found = command(&["verify", "--json"]).await;
    assert_eq!(found.code, 1, "{found:?}");
    let damages = found.json();
    assert_eq!(damages.as_array().unwrap().len(), 3, "{damages:#}");
    let kept = damages[2]["kept"].as_str().unwrap_or_default();
    assert!(kept.contains("an app may be reading it"), "{damages:#}");
    assert!(!blob.exists() && !code.exists() && tree.exists());
    assert_eq!(get(address, "/version").await.unwrap().status, 200);

    // What is missing is fetched and made again, by the same daemon.
    daemon.remove_app("app");
    daemon.wait_gone("app").await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    assert_eq!(get(address, "/version").await.unwrap().status, 200);
    assert!(blob.exists());
}

#[tokio::test]
async fn pruning_leaves_what_a_daemon_needs() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().own_cache().start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let tool = Tool::new();
    let cache = daemon.cache().to_str().unwrap();
    let other = Layout::with(&App::of("hello", "1"));
    let ran = tool
        .run(&["pull", &other.reference("v1"), "--cache-dir", cache])
        .await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let usage = async || tool.run(&["cache", "--json", "--cache-dir", cache]).await.json();
    let before = usage().await;
    assert!(before["bytes"].as_u64() > before["pinned"].as_u64(), "{before}");

    let ran = tool.run(&["cache", "prune", "--cache-dir", cache]).await;
    assert!(
        ran.code == 0 && ran.stdout.starts_with("removed 0 entries"),
        "{ran:?}"
    );
    let ran = tool.run(&["cache", "prune", "--all", "--cache-dir", cache]).await;
    assert!(
        ran.code == 0 && !ran.stdout.starts_with("removed 0 entries"),
        "{ran:?}"
    );
    let after = usage().await;
    assert_eq!(after["bytes"], after["pinned"], "{after}");
    assert_eq!(after["pinned"], before["pinned"], "{after}");
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    let table = tool.run(&["cache", "--cache-dir", cache]).await;
    assert_eq!(table.lines("blobs/sha256").len(), 1, "{table:?}");
}
