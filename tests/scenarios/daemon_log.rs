//! The form of the daemon's own log.

use std::fs;
use std::os::unix::fs::MetadataExt;

use serde_json::Value;

use crate::support::prelude::*;

#[tokio::test]
async fn as_json_each_line_is_an_object_with_its_fields() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().arg("--log-format=json").start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let text = "/print?text=%22quoted%22&error=e";
    assert_eq!(get(address, text).await.unwrap().status, 200);
    daemon.wait_log("quoted").await;
    let logs = daemon.logs();
    let lines: Vec<Value> = logs
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let printed = lines.iter().find(|line| line["message"] == "\"quoted\"");
    let printed = printed.unwrap_or_else(|| panic!("{logs}"));
    assert_eq!(
        [
            &printed["app"],
            &printed["component"],
            &printed["stream"],
            &printed["target"],
            &printed["level"]
        ],
        ["app", "probe", "stdout", "guest", "INFO"]
    );
    assert!(printed["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn in_the_journal_lines_have_a_priority_and_no_time() {
    let layout = Layout::with(&App::of("probe", "1"));
    let builder = Daemon::builder();
    // What the scenario's daemon has as its standard error.
    let log = builder.watched().with_file_name("log");
    fs::write(&log, "").unwrap();
    let file = fs::metadata(&log).unwrap();
    let stream = format!("{}:{}", file.dev(), file.ino());
    let daemon = builder.env("JOURNAL_STREAM", stream).start().await;
    daemon.serve("app", &layout.file("v1")).await;
    daemon.write_text("broken", "{");
    let error = daemon.wait_log("broken.json").await;
    assert!(error.starts_with("<3>ERROR "), "{error}");
    let logs = daemon.logs();
    assert!(
        logs.lines()
            .all(|line| line.starts_with("<3>") || line.starts_with("<6>")),
        "{logs}"
    );
}

#[tokio::test]
async fn a_filter_that_is_none_is_refused_with_the_option() {
    let daemon = Daemon::start().await;
    for (option, environment) in [
        (Some("--log-level=lepton=loud"), None),
        (None, Some("lepton=loud")),
    ] {
        let mut command = daemon.asking(option.as_slice());
        command.envs(environment.map(|filter| ("RUST_LOG", filter)));
        let output = command.output().await.unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(
            !output.status.success() && error.contains("--log-level"),
            "{error}"
        );
    }
}
