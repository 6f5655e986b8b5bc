//! The directory: files come, change and go.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;

use crate::support::client;
use crate::support::prelude::*;
use crate::support::registry::free_port;

fn app_file(layout: &Layout) -> serde_json::Value {
    json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"})
}

#[tokio::test]
async fn a_file_that_is_deleted_stops_its_app() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &app_file(&layout)).await;
    daemon.remove_app("app");
    daemon.wait_gone("app").await;
    assert!(get(address, "/version").await.is_err());
}

#[tokio::test]
async fn what_is_no_app_file_is_ignored() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let text = app_file(&layout).to_string();
    for name in [
        ".hidden.json",
        "app.json~",
        "app.json.swp",
        "#app.json#",
        "app.txt",
        "4913",
    ] {
        fs::write(daemon.watched().join(name), &text).unwrap();
    }
    fs::create_dir(daemon.watched().join("directory.json")).unwrap();
    daemon.serve("real", &app_file(&layout)).await;
    let status = daemon.status().await;
    let known: Vec<_> = status["apps"].as_object().unwrap().keys().collect();
    assert_eq!(known, ["real"]);
}

#[tokio::test]
async fn a_file_may_be_written_in_pieces() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let text = app_file(&layout).to_string();
    let (first, second) = text.split_at(text.len() / 2);
    let mut file = fs::File::create(daemon.file("app")).unwrap();
    std::io::Write::write_all(&mut file, first.as_bytes()).unwrap();
    // Something else happens in between, so that the daemon has looked at the half.
    daemon.serve("other", &app_file(&layout)).await;
    std::io::Write::write_all(&mut file, second.as_bytes()).unwrap();
    drop(file);
    daemon.wait_state("app", "running").await;
}

#[tokio::test]
async fn a_rename_keeps_the_socket_open() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let port = free_port();
    let file = json!({"reference": layout.reference("v1"), "address": format!("127.0.0.1:{port}")});
    let address = daemon.serve("old", &file).await;
    let mut connection = Connection::open(address).await.unwrap();
    connection.get("/version").await.unwrap();
    fs::rename(daemon.file("old"), daemon.file("new")).unwrap();
    daemon.wait_gone("old").await;
    daemon.wait_state("new", "running").await;
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn touching_a_file_is_no_redeploy() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    daemon.serve("app", &app_file(&layout)).await;
    let before = daemon.app("app").await.unwrap().since().map(String::from);
    fs::File::options()
        .append(true)
        .open(daemon.file("app"))
        .unwrap()
        .set_modified(std::time::SystemTime::now())
        .unwrap();
    // A later file is served: the touch has been looked at by then.
    daemon.serve("later", &app_file(&layout)).await;
    assert_eq!(daemon.app("app").await.unwrap().since().map(String::from), before);
}

#[tokio::test]
async fn a_config_map_s_swap_is_an_edit() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::start().await;
    let watched = daemon.watched();
    let version = |tag: &str| {
        let directory = watched.join(format!("..{tag}"));
        fs::create_dir(&directory).unwrap();
        let file = json!({"reference": layout.reference(tag), "address": "127.0.0.1:0"});
        fs::write(directory.join("app.json"), file.to_string()).unwrap();
        symlink(format!("..{tag}"), watched.join("..data_tmp")).unwrap();
        fs::rename(watched.join("..data_tmp"), watched.join("..data")).unwrap();
    };
    version("v1");
    symlink("..data/app.json", daemon.file("app")).unwrap();
    let address = daemon.address("app").await;
    let first = daemon.app("app").await.unwrap().digest().map(String::from);
    version("v2");
    daemon
        .wait_for("app", "to follow the link", |app| {
            app.digest().map(String::from) != first
        })
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "2");
}

#[tokio::test]
async fn a_directory_that_is_missing_is_made_and_one_that_is_replaced_is_followed() {
    let layout = Layout::with(&App::of("probe", "1"));
    let builder = Daemon::builder();
    fs::remove_dir(builder.watched()).unwrap();
    let daemon = builder.start().await;
    daemon.serve("before", &app_file(&layout)).await;

    let replacement = daemon.root().join("replacement");
    fs::create_dir(&replacement).unwrap();
    fs::write(replacement.join("after.json"), app_file(&layout).to_string()).unwrap();
    fs::rename(daemon.watched(), daemon.root().join("old")).unwrap();
    fs::rename(&replacement, daemon.watched()).unwrap();
    daemon.wait_state("after", "running").await;
    daemon.wait_gone("before").await;
}

#[tokio::test]
async fn an_edit_that_is_wrong_leaves_the_last_good_version() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &app_file(&layout)).await;
    daemon.write_text("app", "{ this is no JSON");
    let app = daemon.wait_state("app", "degraded").await;
    assert!(!app.error().is_empty());
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    daemon.write_app("app", &app_file(&layout));
    daemon.wait_state("app", "running").await;
}

#[tokio::test]
async fn two_files_that_claim_one_address_take_turns() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::start().await;
    let port = free_port();
    let first = json!({"reference": layout.reference("v1"), "address": format!("127.0.0.1:{port}")});
    let second = json!({"reference": layout.reference("v2"), "address": format!("0.0.0.0:{port}")});
    daemon.serve("first", &first).await;
    daemon.write_app("second", &second);
    let waiting = daemon.wait_state("second", "waiting").await;
    assert!(waiting.error().contains("first"), "{}", waiting.error());
    daemon.remove_app("first");
    daemon.wait_state("second", "running").await;
    assert_eq!(
        get(format!("127.0.0.1:{port}").parse().unwrap(), "/version")
            .await
            .unwrap()
            .text(),
        "2"
    );
}

#[tokio::test]
async fn a_second_daemon_keeps_off_the_directory() {
    let daemon = Daemon::start().await;
    let output = daemon.second_on_the_same_directory().await;
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("watch-dir"));
}

#[tokio::test]
async fn a_hangup_looks_at_everything_at_once() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().arg("--rescan-interval").arg("1h").start().await;
    daemon.serve("app", &app_file(&layout)).await;
    daemon.signal(Signal::HUP);
    daemon.serve("later", &app_file(&layout)).await;
    daemon.wait_state("app", "running").await;
}

#[tokio::test]
async fn requests_in_flight_end_well_before_a_terminated_daemon_does() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut daemon = Daemon::start().await;
    let address = daemon.serve("app", &app_file(&layout)).await;
    let mut connection = Connection::open(address).await.unwrap();
    let path = client::request(http::Method::GET, "/stream?n=5&ms=100", client::empty());
    let mut stream = connection.stream(path).await.unwrap();
    stream.next().await.unwrap();
    daemon.signal(Signal::TERM);
    let reply = stream.finish().await.unwrap();
    assert!(reply.text().ends_with("chunk 4 of version 1\n"));
    assert!(daemon.wait().await.success());
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut daemon = Daemon::start().await;
    let address = daemon.serve("app", &app_file(&layout)).await;
    let mut connection = Connection::open(address).await.unwrap();
    let asked = client::request(http::Method::GET, "/stream?n=2&ms=600000", client::empty());
    let mut stream = connection.stream(asked).await.unwrap();
    stream.next().await.unwrap();
    daemon.signal(Signal::TERM);
    daemon.signal(Signal::INT);
    daemon.wait().await;
    assert!(stream.finish().await.is_err());
}
