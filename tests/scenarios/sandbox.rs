//! What the process takes from itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::support::guests;
use crate::support::prelude::*;
use crate::support::wait::until;

/// A directory that is in no temporary one, removed at the end.
fn elsewhere() -> tempfile::TempDir {
    tempfile::TempDir::new_in(guests::cache()).unwrap()
}

/// A line of what the kernel says of the process.
fn kernel_says(daemon: &Daemon, name: &str) -> String {
    let status = fs::read_to_string(daemon.proc("status")).unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_default().trim().to_owned()
}

#[tokio::test]
async fn state_outside_of_the_daemons_directories_needs_an_option() {
    let place = elsewhere();
    let state_dir = place.path().join("state");
    let database = place.path().join("other.db");
    let layout = Layout::with(&App::of("probe", "1"));
    let mut outside = layout.file("v1");
    outside["state_dir"] = state_dir.display().to_string().into();
    let mut store = layout.file("v1");
    store["runtime_config"] = json!({"key_value_store": {"default": {"type": "spin", "path": database}}});
    let mut socket = layout.file("v1");
    socket["address"] = format!("unix:{}", place.path().join("s").display()).into();

    let daemon = Daemon::start().await;
    assert_eq!(kernel_says(&daemon, "NoNewPrivs"), "1");
    assert_eq!(kernel_says(&daemon, "Seccomp"), "2");
    let remedy = format!("--allow-write {}", place.path().display());
    for (id, app, what) in [
        ("state", &outside, "the state directory"),
        ("store", &store, "the database"),
        ("socket", &socket, "the socket"),
    ] {
        daemon.write_app(id, app);
        let status = daemon.wait_error(id, &remedy).await;
        assert!(status.error().contains(what), "{status:?}");
        assert_eq!(status.state(), "failed");
    }
    assert!(!state_dir.exists());

    let daemon = Daemon::builder()
        .arg("--allow-write")
        .arg(place.path())
        .start()
        .await;
    for (id, app) in [("state", &outside), ("store", &store), ("socket", &socket)] {
        daemon.write_app(id, app);
        daemon.wait_state(id, "running").await;
    }
    assert!(state_dir.is_dir());
}

#[tokio::test]
async fn what_the_daemon_runs_can_neither_write_elsewhere_nor_leave() {
    let registry = Registry::with_tokens().await;
    let place = elsewhere();
    let builder = Daemon::builder().own_cache();
    let bin = builder.root().join("bin");
    let told = builder.root().join("state/told");
    let attempt = format!(
        "#!/bin/sh\ncat >/dev/null\n\
         (echo x >{outside}/written) 2>/dev/null && echo wrote >>{told}\n\
         unshare --user true 2>/dev/null && echo left >>{told}\n\
         echo asked >>{told}\necho credentials not found\nexit 1\n",
        outside = place.path().display(),
        told = told.display()
    );
    fs::create_dir(&bin).unwrap();
    let helper = bin.join("docker-credential-tests");
    fs::write(&helper, attempt).unwrap();
    fs::set_permissions(&helper, fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let config = json!({"credHelpers": {registry.host(): "tests"}}).to_string();
    let daemon = builder
        .env("PATH", path)
        .home_file(".docker/config.json", &config)
        .start()
        .await;
    let reference = format!("{}/private/probe:v1", registry.host());
    daemon.write_app("app", &json!({"reference": reference, "address": "127.0.0.1:0"}));
    let said = until("the helper to be asked", async || {
        let text = fs::read_to_string(&told).unwrap_or_default();
        if text.contains("asked") {
            Ok(text)
        } else {
            Err(daemon.logs())
        }
    })
    .await;
    assert!(said.lines().all(|line| line == "asked"), "{said}");
    assert!(!place.path().join("written").exists());
}

#[tokio::test]
async fn a_process_can_be_left_as_it_is_and_can_insist() {
    let place = elsewhere();
    let layout = Layout::with(&App::of("probe", "1"));
    let mut outside = layout.file("v1");
    outside["state_dir"] = place.path().join("state").display().to_string().into();
    let daemon = Daemon::builder().arg("--sandbox").arg("off").start().await;
    assert_eq!(kernel_says(&daemon, "Seccomp"), "0");
    daemon.serve("app", &outside).await;

    let insists = Daemon::builder().arg("--sandbox").arg("on").start().await;
    assert_eq!(kernel_says(&insists, "Seccomp"), "2");
    let address = insists.serve("app", &layout.file("v1")).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    insists.wait_log("the process is confined").await;

    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_tauon"))
        .args(["apps", "--allow-write", "nowhere"])
        .env("HOME", insists.root())
        .current_dir(insists.root())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--allow-write nowhere can't be opened"), "{said}");
    assert!(!output.status.success());
}
