//! `diff`: what the daemon would do, and does not.

use std::fs;

use crate::support::prelude::*;
use crate::support::registry::free_port;
use crate::support::tool::Tool;

/// The action and the reason for each app.
fn actions(report: &serde_json::Value) -> Vec<(String, String, String)> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let apps = report.as_array().expect("an array").iter();
    apps.map(|app| (text(&app["app"]), text(&app["action"]), text(&app["reason"])))
        .collect()
}

#[tokio::test]
async fn a_dry_run_says_what_then_happens_and_does_nothing() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut builder = Daemon::builder();
    for id in ["edited", "gone", "same"] {
        builder = builder.app(id, &layout.file("v1"));
    }
    let daemon = builder.start().await;
    for id in ["edited", "gone", "same"] {
        daemon.wait_state(id, "running").await;
    }
    let tool = Tool::new();
    let socket = daemon.socket();
    let socket = socket.to_str().unwrap();
    let watched = daemon.watched();
    let nothing = tool
        .run(&["diff", watched.to_str().unwrap(), "--socket", socket])
        .await;
    assert_eq!(nothing.code, 0, "{nothing:?}");
    assert_eq!(nothing.lines(" keep").len(), 3, "{nothing:?}");

    let mut edited = layout.file("v1");
    edited["variables"] = json!({"token": "a secret"});
    let taken = json!({"reference": layout.reference("v1"), "address": format!("127.0.0.1:{}", free_port())});
    for (name, text) in [
        ("bad", "{\"reference\": 1}".to_owned()),
        ("edited", edited.to_string()),
        ("new", taken.to_string()),
        ("same", layout.file("v1").to_string()),
        ("taken", taken.to_string()),
    ] {
        tool.write(&format!("staged/{name}.json"), &text);
    }
    let before = daemon.status().await;
    let ran = tool.run(&["diff", "staged", "--json", "--socket", socket]).await;
    assert_eq!(ran.code, 1, "a file would be refused: {ran:?}");
    assert_eq!(daemon.status().await, before);
    assert!(!ran.stdout.contains("a secret"));
    let told = actions(&ran.json());
    let short: Vec<_> = told
        .iter()
        .map(|(app, action, _)| format!("{app} {action}"))
        .collect();
    let expected = [
        "bad refuse",
        "edited redeploy",
        "gone stop",
        "new start",
        "same keep",
        "taken wait",
    ];
    assert_eq!(short, expected);
    assert!(told[0].2.contains("bad.json:1:"), "{told:?}");
    assert_eq!(told[1].2, "\"variables\" differs");
    assert!(told[5].2.contains("held by app new"), "{told:?}");
    fs::remove_file(tool.path("staged/bad.json")).unwrap();
    let ran = tool.run(&["diff", "staged", "--socket", socket]).await;
    assert_eq!(ran.code, 2, "{ran:?}");

    let since = |status: &serde_json::Value| status["apps"]["same"]["since"].clone();
    daemon.write_app("edited", &edited);
    daemon.write_app("new", &taken);
    daemon.wait_state("new", "running").await;
    daemon.write_app("same", &layout.file("v1"));
    daemon.write_app("taken", &taken);
    daemon.remove_app("gone");
    daemon.wait_gone("gone").await;
    daemon.wait_error("taken", "held by app new").await;
    assert_eq!(since(&daemon.status().await), since(&before));
}

#[tokio::test]
async fn without_a_daemon_everything_would_start() {
    let tool = Tool::new();
    let app = |port: u16| json!({"reference": "a/b:v1", "address": format!("127.0.0.1:{port}")}).to_string();
    tool.write("apps/one.json", &app(1));
    tool.write("apps/two.json", &app(2));
    let ran = tool.run(&["diff", "apps"]).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("no daemon answers on"), "{ran:?}");
    assert_eq!(ran.lines(" start").len(), 2, "{ran:?}");
    let ran = tool.run(&["diff", "nowhere"]).await;
    assert_eq!(ran.code, 1);
    assert!(ran.stderr.contains("nowhere"), "{ran:?}");
}
