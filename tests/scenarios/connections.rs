//! How long clients may take, and how many connections they may have (docs/contract/http-trigger.md §7).

use std::net::SocketAddr;

use bytes::Bytes;
use http::Method;
use hyper::body::Frame;

use crate::support::balancer::{connect_from, speak, v1};
use crate::support::client::{channel, empty, request};
use crate::support::prelude::*;
use crate::support::raw::Raw;
use crate::support::wait::until;

/// Two apps at addresses of their own.
async fn two(arguments: &[&str]) -> (Daemon, Layout, SocketAddr, SocketAddr) {
    let layout = Layout::with(&App::of("probe", "1"));
    let builder = arguments
        .iter()
        .fold(Daemon::builder(), |builder, argument| builder.arg(argument));
    let daemon = builder.start().await;
    let one = daemon.serve("one", &layout.file("v1")).await;
    let other = daemon.serve("other", &layout.file("v1")).await;
    (daemon, layout, one, other)
}

const GET: &str = "GET /version HTTP/1.1\r\nhost: a\r\n\r\n";

/// A connection that has been served.
async fn served_from(source: &str, address: SocketAddr) -> Raw {
    let mut raw = Raw::open_from(source, address).await;
    raw.write(GET).await;
    raw.read_to("\r\n\r\n1").await;
    raw
}

/// Whether a new connection is served; one that is not is closed at once.
async fn is_served(source: &str, address: SocketAddr) -> bool {
    let mut raw = Raw::open_from(source, address).await;
    raw.write("GET /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
        .await;
    let reply = raw.read_all().await;
    assert!(reply.is_empty() || reply.starts_with("HTTP/1.1 200 "), "{reply}");
    !reply.is_empty()
}

#[tokio::test]
async fn a_client_that_takes_too_long_is_let_go_and_no_other_is() {
    let arguments = [
        ["--header-timeout", "1s"],
        ["--idle-timeout", "1s"],
        ["--body-timeout", "1s"],
    ];
    let (_daemon, _layout, address, _) = two(arguments.as_flattened()).await;
    // Bytes go both ways for as long as the client likes, once it has been answered.
    let (pieces, body) = channel();
    let mut streaming = Connection::open_h2(address).await.unwrap();
    let streamed = streaming.stream(request(Method::POST, "/pipe", body));
    pieces.unbounded_send(Frame::data(Bytes::from("first"))).unwrap();
    let mut streamed = streamed.await.unwrap();
    assert_eq!(streamed.next().await.unwrap().unwrap(), "first");

    // Half a head; no request; half a second head; and silence after a request.
    for (begin, answers) in [("GET / HT", 0), ("", 0), ("again", 1), (GET, 1)] {
        let mut raw = match answers {
            0 => Raw::open(address).await,
            _ => served_from("127.0.0.1", address).await,
        };
        raw.write(begin).await;
        let rest = raw.read_all().await;
        let expected = usize::from(begin == GET);
        assert_eq!(rest.matches("HTTP/1.1 200 ").count(), expected, "{begin}: {rest}");
    }
    pieces.unbounded_send(Frame::data(Bytes::from("second"))).unwrap();
    assert_eq!(streamed.next().await.unwrap().unwrap(), "second");
}

#[tokio::test]
async fn a_body_that_stalls_before_there_is_an_answer_gets_408() {
    let layout = Layout::with(
        &App::new("late")
            .component(Component::new("legacy", guest("legacy")))
            .route("/...", "legacy"),
    );
    let daemon = Daemon::builder().arg("--body-timeout").arg("500ms").start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut raw = Raw::open(address).await;
    raw.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 9\r\n\r\nhalf")
        .await;
    let reply = raw.read_all().await;
    assert!(
        reply.starts_with("HTTP/1.1 408 ") && reply.contains("connection: close\r\n"),
        "{reply}"
    );
    // HTTP/2 goes on with its other streams.
    let mut connection = Connection::open_h2(address).await.unwrap();
    let (_pieces, body) = channel();
    let reply = connection.send(request(Method::POST, "/", body)).await.unwrap();
    assert_eq!(reply.status, 408);
    assert_eq!(connection.get("/").await.unwrap().status, 200);
}

#[tokio::test]
async fn an_address_has_so_many_connections_and_no_other_address_notices() {
    let (daemon, _layout, one, other) = two(&["--max-connections", "2"]).await;
    let first = served_from("127.0.0.1", one).await;
    let _second = served_from("127.0.0.1", one).await;
    for _ in 0..3 {
        assert!(!is_served("127.0.0.1", one).await);
        assert!(is_served("127.0.0.1", other).await);
    }
    let line = daemon.wait_log("--max-connections").await;
    assert!(line.contains("WARN") && line.contains(&one.to_string()), "{line}");
    assert_eq!(daemon.log_lines("connections are closed at once").len(), 1);
    drop(first);
    until("room", async || match is_served("127.0.0.1", one).await {
        true => Ok(()),
        false => Err("closed".into()),
    })
    .await;
}

#[tokio::test]
async fn a_client_has_so_many_connections_whoever_passes_them_on() {
    let arguments = [
        ["--max-connections-per-client", "1"],
        ["--proxy-protocol", "127.0.0.2"],
        ["--trusted-proxy", "127.0.0.3"],
    ];
    let (daemon, _layout, one, other) = two(arguments.as_flattened()).await;
    let _kept = served_from("127.0.0.4", one).await;
    assert!(!is_served("127.0.0.4", one).await);
    assert!(is_served("127.0.0.4", other).await && is_served("127.0.0.5", one).await);
    let line = daemon.wait_log("--max-connections-per-client").await;
    assert!(line.contains("client=127.0.0.4"), "{line}");

    // A proxy has many clients.
    let _first = served_from("127.0.0.3", one).await;
    assert!(is_served("127.0.0.3", one).await);

    let through_balancer = async |client: &str| {
        let stream = connect_from("127.0.0.2", one).await;
        let mut connection = speak(tokio_util::either::Either::Left(stream), &v1(client), true).await?;
        connection.get("/version").await.map(|_| connection)
    };
    let _kept = through_balancer("203.0.113.7:1").await.unwrap();
    assert!(through_balancer("203.0.113.7:2").await.is_err());
    assert!(through_balancer("203.0.113.8:1").await.is_ok());
}

#[tokio::test]
async fn a_client_that_does_not_read_its_response_is_let_go_and_keeps_nobody_s_place() {
    let (daemon, layout, ..) = two(&["--body-timeout", "1s"]).await;
    let mut file = layout.file("v1");
    file["limits"] = json!({"requests": 1, "queue_time": "1ms"});
    let address = daemon.serve("narrow", &file).await;
    let mut stalled = Raw::open(address).await;
    // More than the kernels of both ends hold.
    stalled
        .write("GET /bytes?n=1000000000 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    stalled.read_to("\r\n\r\n").await;
    until("the place to be free", async || {
        let reply = get(address, "/version").await?;
        let free = reply.status == 200;
        free.then_some(()).ok_or_else(|| format!("{}", reply.status))
    })
    .await;
}

#[tokio::test]
async fn a_client_of_http2_that_opens_no_window_loses_its_stream_and_no_other() {
    let (daemon, layout, ..) = two(&["--body-timeout", "1s"]).await;
    let mut file = layout.file("v1");
    file["limits"] = json!({"requests": 1, "queue_time": "1ms"});
    let address = daemon.serve("narrow", &file).await;
    for path in ["/version", "/bytes?n=1000000"] {
        let mut shut = Connection::open_h2_shut(address).await.unwrap();
        let stalled = shut.stream(request(Method::GET, path, empty())).await.unwrap();
        assert_eq!(stalled.status, 200, "{path}");
        // It has the only place, until it is told that it has been given up.
        let ended = stalled.finish().await.unwrap_err();
        assert!(ended.contains("stream error received"), "{path}: {ended}");
        until("the place to be free", async || {
            let reply = get(address, "/version").await?;
            let free = reply.status == 200;
            free.then_some(()).ok_or_else(|| format!("{}", reply.status))
        })
        .await;
        let head = shut
            .send(request(Method::HEAD, "/version", empty()))
            .await
            .unwrap();
        assert_eq!(head.status, 200, "{path}");
    }
}
