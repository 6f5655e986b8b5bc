//! Edits of app files by the ways that editors and commands have.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::load::{Load, failures};
use crate::support::prelude::*;
use crate::support::wait::until;

#[tokio::test]
async fn an_editor_s_delete_then_create_under_load_refuses_nothing() {
    let mut layout = Layout::new();
    let digests = [
        layout.add("v0", &App::of("probe", "0")),
        layout.add("v1", &App::of("probe", "1")),
    ];
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v0")).await;
    let load = Load::start(address, 1);
    for n in 1..=10 {
        daemon.remove_app("app");
        daemon.write_text("app", &layout.file(&format!("v{}", n % 2)).to_string());
        daemon.wait_digest("app", &digests[n % 2]).await;
    }
    let outcomes = load.stop().await;
    assert!(failures(&outcomes).is_empty(), "{:?}", failures(&outcomes));
    assert_eq!(daemon.app("app").await.unwrap().address(), address);
}

#[tokio::test]
async fn a_file_moved_out_stops_and_one_moved_or_copied_in_starts() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let outside = daemon.root().join("outside.json");
    fs::rename(daemon.file("app"), &outside).unwrap();
    daemon.wait_gone("app").await;
    assert!(get(address, "/version").await.is_err());

    fs::copy(&outside, daemon.file("copied")).unwrap();
    fs::rename(&outside, daemon.file("moved")).unwrap();
    for id in ["copied", "moved"] {
        let address = daemon.address(id).await;
        assert_eq!(get(address, "/version").await.unwrap().text(), "1", "{id}");
    }
}

#[tokio::test]
async fn an_edit_of_a_link_s_target_is_an_edit() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let second = layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::builder().arg("--rescan-interval").arg("1h").start().await;
    let target = daemon.root().join("elsewhere");
    fs::create_dir(&target).unwrap();
    let target = target.join("real.json");
    fs::write(&target, layout.file("v1").to_string()).unwrap();
    symlink(&target, daemon.file("app")).unwrap();
    let address = daemon.address("app").await;
    fs::write(&target, layout.file("v2").to_string()).unwrap();
    daemon.wait_digest("app", &second).await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}

#[tokio::test]
async fn a_directory_that_is_away_keeps_every_app_and_is_reported_until_it_is_back() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let problem = async || daemon.status().await["source_problem"].as_str().map(String::from);
    assert_eq!(problem().await, None);

    let away = daemon.root().join("away");
    fs::rename(daemon.watched(), &away).unwrap();
    let told = until("the problem", async || {
        problem().await.ok_or_else(|| daemon.logs())
    })
    .await;
    assert!(told.contains("watch-dir"), "{told}");
    daemon.wait_log("the watched directory can't be listed").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    fs::rename(&away, daemon.watched()).unwrap();
    until("the problem to be over", async || match problem().await {
        None => Ok(()),
        Some(problem) => Err(problem),
    })
    .await;
    daemon.serve("later", &layout.file("v1")).await;
    assert_eq!(daemon.app("app").await.unwrap().state(), "running");
}

#[tokio::test]
async fn an_edit_that_fails_is_told_once_with_its_reason_and_the_next_try() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    daemon.write_app("app", &layout.file("no-such-tag"));
    let failed = daemon.wait_state("app", "degraded").await;
    assert!(failed.error().contains("no-such-tag"), "{}", failed.error());
    let first_try = failed.next_try().map(String::from);
    assert!(first_try.is_some());
    daemon
        .wait_for("app", "to have been tried again", |app| {
            app.next_try()
                .is_some_and(|next| Some(next) != first_try.as_deref())
        })
        .await;
    let told = daemon.log_lines("app can't be started");
    assert_eq!(told.len(), 1, "{told:?}");
    for part in ["no-such-tag", "next_try", "serves_on=true"] {
        assert!(told[0].contains(part), "{part} in {}", told[0]);
    }
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}
