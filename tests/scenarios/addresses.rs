//! Addresses: who holds one, who waits for it, and how it changes hands.

use std::net::TcpListener;

use crate::support::client::{empty, request};
use crate::support::load::{Load, failures};
use crate::support::prelude::*;
use crate::support::registry::free_port;

#[tokio::test]
async fn a_port_taken_by_another_process_is_waited_for() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let mut file = layout.file("v1");
    file["address"] = address.to_string().into();
    daemon.write_app("app", &file);
    let waiting = daemon.wait_state("app", "waiting").await;
    assert!(
        waiting.error().contains(&address.to_string()),
        "{}",
        waiting.error()
    );
    drop(other);
    daemon.wait_state("app", "running").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}

#[tokio::test]
async fn an_address_that_moves_to_the_file_that_waits_for_it_refuses_nothing() {
    let mut layout = Layout::with(&App::of("probe", "old"));
    layout.add("v2", &App::of("probe", "new"));
    let daemon = Daemon::start().await;
    let wanted = format!("127.0.0.1:{}", free_port());
    let file = |tag: &str, address: &str| json!({"reference": layout.reference(tag), "address": address});
    let address = daemon.serve("old", &file("v1", &wanted)).await;
    daemon.write_app("new", &file("v2", &wanted));
    let waiting = daemon.wait_state("new", "waiting").await;
    assert!(waiting.error().contains("old"), "{}", waiting.error());

    let load = Load::start(address, 1);
    let elsewhere = format!("127.0.0.1:{}", free_port());
    daemon.write_app("old", &file("v1", &elsewhere));
    daemon.wait_state("new", "running").await;
    let moved = daemon
        .wait_for("old", "to have moved", |app| {
            app.state() == "running" && app.member("address") == Some(&elsewhere)
        })
        .await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "new");
    assert_eq!(get(moved.address(), "/version").await.unwrap().text(), "old");
    let outcomes = load.stop().await;
    assert!(failures(&outcomes).is_empty(), "{:?}", failures(&outcomes));
}

#[tokio::test]
async fn the_wildcard_holds_every_address_of_its_port() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let port = free_port();
    let file = |host: &str| json!({"reference": layout.reference("v1"), "address": format!("{host}:{port}")});
    daemon.serve("wide", &file("0.0.0.0")).await;
    daemon.write_app("narrow", &file("127.0.0.1"));
    let waiting = daemon.wait_state("narrow", "waiting").await;
    assert!(waiting.error().contains("wide"), "{}", waiting.error());
    daemon.remove_app("wide");
    daemon.wait_state("narrow", "running").await;
}

#[tokio::test]
async fn a_deleted_app_finishes_what_it_has_begun_and_takes_nothing_new() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut connection = Connection::open(address).await.unwrap();
    let slow = request(http::Method::GET, "/stream?n=20&ms=100", empty());
    let mut stream = connection.stream(slow).await.unwrap();
    stream.next().await.unwrap();
    daemon.remove_app("app");
    daemon
        .wait_for("app", "to be stopping", |app| app.state() == "stopping")
        .await;
    assert!(get(address, "/version").await.is_err());
    let reply = stream.finish().await.unwrap();
    assert!(
        reply.text().ends_with("chunk 19 of version 1\n"),
        "{}",
        reply.text()
    );
    daemon.wait_gone("app").await;
}
