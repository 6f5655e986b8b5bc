//! `lepton` with its list: the same supervisor, another source.

use std::fs;

use rustix::process::Signal;

use crate::support::artifact::Artifact;
use crate::support::prelude::*;

#[tokio::test]
async fn one_bad_entry_of_a_list_leaves_the_others_and_is_told_at_its_place() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut named = layout.file("v1");
    named["state_dir"] = "states/dioxus1".into();
    let bad = json!({"reference": layout.reference("v1"), "adress": "127.0.0.1:0"});
    let list = json!({"apps": [named, bad, layout.file("v1")]});
    let daemon = Daemon::builder().list(&list).start().await;
    for id in ["dioxus1", "lepton-3"] {
        let address = daemon.address(id).await;
        assert_eq!(get(address, "/version").await.unwrap().text(), "1", "{id}");
    }
    let bad = daemon.wait_error("lepton-2", "adress").await;
    for part in ["lepton.json:1:", "\"address\""] {
        assert!(bad.error().contains(part), "{part} in {}", bad.error());
    }
    for directory in ["states/dioxus1", "lepton-3"] {
        assert!(
            daemon.root().join("state").join(directory).is_dir(),
            "{directory}"
        );
    }
}

#[tokio::test]
async fn an_entry_that_fails_is_tried_again_while_the_others_run() {
    let mut registry = Registry::plain().await;
    let packed = Artifact::of(&App::of("probe", "late"), Shape::Spin4);
    let reference = registry.push_artifact(&packed, "apps/probe:v1").await;
    registry.stop();
    let layout = Layout::with(&App::of("probe", "1"));
    let late = json!({"reference": reference, "address": "127.0.0.1:0", "state_dir": "late"});
    let list = json!({"apps": [late, layout.file("v1")]});
    let daemon = Daemon::builder().own_cache().list(&list).start().await;
    daemon.wait_state("lepton-2", "running").await;
    let failed = daemon.wait_state("late", "failed").await;
    assert!(failed.next_try().is_some());
    daemon.wait_log("app can't be started").await;
    registry.start().await;
    let address = daemon.address("late").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "late");
}

#[tokio::test]
async fn a_hangup_reads_the_list_again_and_one_that_can_t_be_read_changes_nothing() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let second = layout.add("v2", &App::of("probe", "2"));
    let entry = |name: &str, tag: &str| {
        let mut entry = layout.file(tag);
        entry["state_dir"] = name.into();
        entry
    };
    let list = json!({"apps": [entry("stays", "v1"), entry("goes", "v1")]});
    let daemon = Daemon::builder().list(&list).start().await;
    let address = daemon.address("stays").await;
    daemon.wait_state("goes", "running").await;

    daemon.write_list(&json!({"apps": [entry("stays", "v2"), entry("comes", "v1")]}));
    daemon.signal(Signal::HUP);
    daemon.wait_digest("stays", &second).await;
    daemon.wait_state("comes", "running").await;
    daemon.wait_gone("goes").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");

    fs::write(daemon.root().join("lepton.json"), "{").unwrap();
    daemon.signal(Signal::HUP);
    daemon.wait_log("the list can't be read").await;
    assert_eq!(daemon.app("comes").await.unwrap().state(), "running");
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}
