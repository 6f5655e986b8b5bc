//! Serving with guests of `wasi:http` 0.3.

use std::net::SocketAddr;

use http::Method;

use crate::support::client::{empty, request};
use crate::support::prelude::*;
use crate::support::wait::until;

/// The app, and what has to outlive it.
async fn served() -> (Daemon, Layout, SocketAddr) {
    let layout = Layout::with(&App::of("probe3", "1"));
    let daemon = Daemon::start().await;
    let address = daemon
        .serve(
            "app",
            &json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"}),
        )
        .await;
    (daemon, layout, address)
}

#[tokio::test]
async fn an_instance_serves_many_requests_and_at_most_so_many() {
    let (_daemon, _layout, address) = served().await;
    let mut connection = Connection::open(address).await.unwrap();
    let mut counts = Vec::new();
    for _ in 0..200 {
        counts.push(
            connection
                .get("/count")
                .await
                .unwrap()
                .text()
                .parse::<u32>()
                .unwrap(),
        );
    }
    assert!(
        counts.iter().any(|&count| count > 1),
        "no instance was used again"
    );
    // docs/contract/http-trigger.md §6.4: 128 by default.
    assert!(counts.iter().all(|&count| count <= 128), "{counts:?}");
}

#[tokio::test]
async fn requests_that_wait_share_an_instance() {
    let (_daemon, _layout, address) = served().await;
    // How many its instance has when it has waited.
    let ask = || async move {
        let reply = get(address, "/now?ms=200").await.unwrap();
        reply.text().parse::<u32>().unwrap()
    };
    until("three to be in one instance", async || {
        match tokio::join!(ask(), ask(), ask()) {
            (3, _, _) | (_, 3, _) | (_, _, 3) => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
    .await;
}

#[tokio::test]
async fn streams_and_work_after_the_response() {
    let (daemon, _layout, address) = served().await;
    let mut connection = Connection::open(address).await.unwrap();
    let mut stream = connection
        .stream(request(Method::GET, "/stream?n=3&ms=50", empty()))
        .await
        .unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "chunk 0 of version 1\n");
    assert!(
        stream
            .finish()
            .await
            .unwrap()
            .text()
            .ends_with("chunk 2 of version 1\n")
    );
    assert_eq!(
        connection.post("/pipe", "back again").await.unwrap().text(),
        "back again"
    );
    assert_eq!(
        connection.get("/after?ms=100&text=later").await.unwrap().text(),
        "answered\n"
    );
    daemon.wait_log("after the response: later").await;
}

#[tokio::test]
async fn a_trap_is_a_500_and_the_next_request_is_served() {
    let (_daemon, _layout, address) = served().await;
    for path in ["/trap", "/error", "/exit"] {
        let reply = get(address, path).await.unwrap();
        assert_eq!((reply.status.as_u16(), reply.body.len()), (500, 0), "{path}");
        assert_eq!(
            get(address, "/version").await.unwrap().text(),
            "1",
            "after {path}"
        );
    }
}
