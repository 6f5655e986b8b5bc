//! Redeploying: nothing is refused, and nothing stale is served.

use tokio::time::Instant;

use crate::support::client::{empty, request};
use crate::support::load::{Load, Swapped, failures, stale};
use crate::support::prelude::*;
use crate::support::registry::free_port;

/// How often the app is redeployed under load.
const REDEPLOYS: usize = 200;
/// Clients of each kind.
const CLIENTS: usize = 2;

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_redeploys_under_load_fail_no_request() {
    let mut layout = Layout::new();
    let digests: Vec<_> = (0..=REDEPLOYS)
        .map(|n| layout.add(&format!("v{n}"), &App::of("probe", &n.to_string())))
        .collect();
    let daemon = Daemon::start().await;
    let address = format!("127.0.0.1:{}", free_port());
    let file = |n: usize| json!({"reference": layout.reference(&format!("v{n}")), "address": address});
    let listening = daemon.serve("app", &file(0)).await;

    let load = Load::start(listening, CLIENTS);
    let mut swaps = Vec::new();
    for (n, digest) in digests.iter().enumerate().skip(1) {
        daemon.write_app("app", &file(n));
        daemon.wait_digest("app", digest).await;
        swaps.push(Swapped {
            at: Instant::now(),
            version: n,
        });
        assert_eq!(get(listening, "/version").await.unwrap().text(), n.to_string());
    }
    let outcomes = load.stop().await;
    assert!(
        outcomes.len() > CLIENTS * REDEPLOYS,
        "{} requests are no load",
        outcomes.len()
    );
    assert_eq!(failures(&outcomes), [""; 0]);
    assert_eq!(stale(&outcomes, &swaps), [""; 0]);
}

#[tokio::test]
async fn a_kept_connection_s_next_request_goes_to_the_new_version_and_a_stream_ends_on_the_old() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let second = layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::start().await;
    let file = |tag: &str| json!({"reference": layout.reference(tag), "address": "127.0.0.1:0"});
    let address = daemon.serve("app", &file("v1")).await;

    let mut kept = Connection::open(address).await.unwrap();
    assert_eq!(kept.get("/version").await.unwrap().text(), "1");
    let mut streaming = Connection::open(address).await.unwrap();
    let mut stream = streaming
        .stream(request(http::Method::GET, "/stream?n=30&ms=100", empty()))
        .await
        .unwrap();
    stream.next().await.unwrap();

    daemon.write_app("app", &file("v2"));
    daemon.wait_digest("app", &second).await;
    assert_eq!(kept.get("/version").await.unwrap().text(), "2");
    let reply = stream.finish().await.unwrap();
    assert!(
        reply.text().ends_with("chunk 29 of version 1\n"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn what_is_still_in_flight_after_the_drain_timeout_is_aborted() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let second = layout.add("v2", &App::of("probe", "2"));
    let daemon = Daemon::start().await;
    let file = |tag: &str| json!({"reference": layout.reference(tag), "address": "127.0.0.1:0", "drain_timeout": "300ms"});
    let address = daemon.serve("app", &file("v1")).await;
    let mut connection = Connection::open(address).await.unwrap();
    let endless = request(http::Method::GET, "/stream?n=100000&ms=50", empty());
    let mut stream = connection.stream(endless).await.unwrap();
    stream.next().await.unwrap();
    daemon.write_app("app", &file("v2"));
    daemon.wait_digest("app", &second).await;
    assert!(stream.finish().await.is_err());
}

#[tokio::test]
async fn addresses_swapped_between_two_files_change_the_apps_behind_open_sockets() {
    let mut layout = Layout::with(&App::of("probe", "a"));
    layout.add("b", &App::of("probe", "b"));
    let daemon = Daemon::start().await;
    let (left, right) = (
        format!("127.0.0.1:{}", free_port()),
        format!("127.0.0.1:{}", free_port()),
    );
    let file = |tag: &str, address: &str| json!({"reference": layout.reference(tag), "address": address});
    daemon.serve("a", &file("v1", &left)).await;
    daemon.serve("b", &file("b", &right)).await;
    let loads = [
        Load::start(left.parse().unwrap(), 1),
        Load::start(right.parse().unwrap(), 1),
    ];

    daemon.write_app("a", &file("v1", &right));
    daemon.write_app("b", &file("b", &left));
    for (id, address) in [("a", &right), ("b", &left)] {
        daemon
            .wait_for(id, "to have moved", |app| {
                app.state() == "running" && app.member("address") == Some(address)
            })
            .await;
        assert_eq!(
            get(address.parse().unwrap(), "/version").await.unwrap().text(),
            id
        );
    }
    for load in loads {
        let outcomes = load.stop().await;
        assert!(failures(&outcomes).is_empty(), "{:?}", failures(&outcomes));
    }
}

#[tokio::test]
async fn a_new_version_that_can_t_start_leaves_the_old_one_serving() {
    let mut layout = Layout::with(&App::of("probe", "1"));
    let needy = Component::new("mailer", guest("mailer"));
    layout.add("v2", &App::new("mailer").component(needy).route("/...", "mailer"));
    let daemon = Daemon::start().await;
    let file = |tag: &str| json!({"reference": layout.reference(tag), "address": "127.0.0.1:0"});
    let address = daemon.serve("app", &file("v1")).await;
    daemon.write_app("app", &file("v2"));
    let app = daemon.wait_state("app", "degraded").await;
    assert!(app.error().contains("acme:mailer/send@1.0.0"), "{}", app.error());
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
}
