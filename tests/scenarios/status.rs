//! Status: what the daemon says of itself.

use std::os::unix::fs::PermissionsExt;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::time::timeout;

use crate::support::prelude::*;
use crate::support::wait::PATIENCE;

#[tokio::test]
async fn the_command_shows_a_row_for_each_file() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon
        .serve(
            "good",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    daemon.write_text("bad", "{}");
    daemon.wait_state("bad", "failed").await;

    let output = daemon.command(&["status"]).await;
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success());
    for part in [
        "good",
        "running",
        &address.to_string(),
        "bad",
        "failed",
        "reference",
    ] {
        assert!(table.contains(part), "{part} in\n{table}");
    }
    let output = daemon.command(&["status", "--json"]).await;
    let status: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(status["apps"]["good"]["state"], "running");
    assert_eq!(status["apps"]["good"]["address"], address.to_string());
}

#[tokio::test]
async fn the_socket_is_its_owner_s_alone() {
    let daemon = Daemon::start().await;
    let mode = std::fs::metadata(daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[tokio::test]
async fn an_unknown_app_can_t_be_redeployed() {
    let daemon = Daemon::start().await;
    let output = daemon.command(&["redeploy", "nobody"]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("nobody"));
}

#[tokio::test]
async fn a_crash_forgets_nothing() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut daemon = Daemon::start().await;
    daemon
        .serve(
            "app",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    daemon.crash().await;
    // While it is away the file becomes a bad one: the last good version serves.
    daemon.write_text("app", "{");
    daemon.start_again().await;
    let app = daemon.wait_state("app", "degraded").await;
    assert_eq!(get(app.address(), "/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn a_watched_status_is_printed_again_at_every_change() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let mut command = daemon.asking(&["status", "--json", "--watch"]);
    let mut watching = command.stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(watching.stdout.take().unwrap()).lines();
    let first = lines.next_line().await.unwrap().unwrap();
    assert!(!first.contains("\"app\""), "{first}");
    daemon.serve("app", &layout.file("v1")).await;
    let seen = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if line.contains("\"running\"") {
                return true;
            }
        }
        false
    };
    assert!(timeout(PATIENCE, seen).await.expect("a line"));
}

#[tokio::test]
async fn without_a_daemon_the_command_says_so() {
    let mut daemon = Daemon::start().await;
    daemon.stop().await;
    let output = daemon.command(&["status"]).await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("admin.sock"));
}
