//! Behind a balancer (docs/contract/http-trigger.md §13): the PROXY protocol, `Forwarded` and its elders, the end that a
//! balancer sees coming; over TCP and Unix sockets, in HTTP/1.1 and HTTP/2.

use std::net::SocketAddr;
use std::path::PathBuf;

use http::{Method, Request};
use rustix::process::Signal;
use serde_json::Value;

use crate::support::balancer::{Stream, connect_from, connect_unix, speak, v1, v2, v2_local};
use crate::support::client::{Body, Reply, empty, request};
use crate::support::haproxy::HaProxy;
use crate::support::prelude::*;
use crate::support::raw::Raw;
use crate::support::wait::until;

/// Where the scenarios' balancers and proxies are; everybody else is at another address.
const BALANCER: &str = "127.0.0.2";
const OTHER: &str = "127.0.0.3";

/// One app, over TCP and over a Unix socket.
struct Doors {
    daemon: Daemon,
    tcp: SocketAddr,
    unix: PathBuf,
    _layout: Layout,
}

impl Doors {
    async fn open(arguments: &[&str]) -> Self {
        let layout = Layout::with(&App::of("probe", "1"));
        let builder = Daemon::builder().env("RUST_LOG", "lepton=debug");
        let builder = arguments
            .iter()
            .fold(builder, |builder, argument| builder.arg(argument));
        let daemon = builder.start().await;
        let tcp = daemon.serve("tcp", &layout.file("v1")).await;
        let unix = daemon.root().join("run/app.sock");
        let mut file = layout.file("v1");
        file["address"] = format!("unix:{}", unix.display()).into();
        daemon.write_app("unix", &file);
        daemon.wait_state("unix", "running").await;
        Self {
            daemon,
            tcp,
            unix,
            _layout: layout,
        }
    }

    /// Over TCP from an address of this machine's.
    async fn tcp(&self, source: &str) -> Stream {
        Stream::Left(connect_from(source, self.tcp).await)
    }

    async fn unix(&self) -> Stream {
        Stream::Right(connect_unix(&self.unix).await)
    }
}

/// Whom the guest takes for its client.
async fn client(stream: Stream, header: &[u8], h2: bool) -> String {
    let mut connection = speak(stream, header, h2).await.expect("a connection");
    let mut clients = Vec::new();
    // The second request on a connection is from the same client.
    for _ in 0..2 {
        let reply = connection.get("/echo").await.expect("an answer");
        clients.extend(reply.line("header spin-client-addr").map(str::to_owned));
    }
    assert!(clients.len() == 2 && clients[0] == clients[1], "{clients:?}");
    clients.swap_remove(0)
}

#[tokio::test]
async fn every_balancer_says_whose_connection_it_passes_on_in_either_version_over_either_socket() {
    let doors = Doors::open(&["--proxy-protocol", BALANCER, "--proxy-protocol", "unix"]).await;
    for h2 in [false, true] {
        for address in ["203.0.113.7:4711", "[2001:db8::7]:4711"] {
            for header in [v1(address), v2(address)] {
                let tcp = client(doors.tcp(BALANCER).await, &header, h2).await;
                assert_eq!(tcp, address);
                assert_eq!(client(doors.unix().await, &header, h2).await, address);
            }
        }
        for header in [b"PROXY UNKNOWN\r\n".to_vec(), v2_local()] {
            let tcp = client(doors.tcp(BALANCER).await, &header, h2).await;
            assert!(tcp.starts_with("127.0.0.2:"), "{tcp}");
            assert_eq!(client(doors.unix().await, &header, h2).await, "0.0.0.0:0");
        }
        let tcp = client(doors.tcp(OTHER).await, b"", h2).await;
        assert!(tcp.starts_with("127.0.0.3:"), "{tcp}");
    }
    // Without the option there is nothing between the socket and HTTP.
    let plain = Doors::open(&[]).await;
    for h2 in [false, true] {
        let tcp = client(plain.tcp(BALANCER).await, b"", h2).await;
        assert!(tcp.starts_with("127.0.0.2:"), "{tcp}");
        assert_eq!(client(plain.unix().await, b"", h2).await, "0.0.0.0:0");
    }
}

#[tokio::test]
async fn a_header_is_demanded_of_balancers_and_read_from_nobody_else() {
    let doors = Doors::open(&["--proxy-protocol", BALANCER, "--header-timeout", "1s"]).await;
    let request = b"GET /version HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
    let header = v1("203.0.113.7:1");
    let cases: [(&str, &[u8], &str); 5] = [
        (BALANCER, &header, "HTTP/1.1 200 "),
        (BALANCER, b"", ""),
        (BALANCER, b"PROXY TCP4 203.0.113.7\r\n", ""),
        (OTHER, &header, "HTTP/1.1 400 "),
        (OTHER, b"", "HTTP/1.1 200 "),
    ];
    for (source, first, answer) in cases {
        let mut raw = Raw::open_from(source, doors.tcp).await;
        raw.write([first, request].concat()).await;
        let reply = raw.read_all().await;
        assert!(reply.starts_with(answer), "{source} {first:?}: {reply}");
        assert_eq!(reply.is_empty(), answer.is_empty(), "{source} {first:?}: {reply}");
    }
    // The other one's may come before it.
    let line = doors.daemon.wait_log("does not begin with a header").await;
    assert!(
        line.contains("DEBUG")
            && line.contains("127.0.0.2:")
            && line.contains("a connection of a balancer is closed"),
        "{line}"
    );
    // A header that never ends does not keep the connection.
    let mut raw = Raw::open_from(BALANCER, doors.tcp).await;
    raw.write("PROXY TCP4").await;
    assert_eq!(raw.read_all().await, "");
    doors.daemon.wait_log("it took too long").await;
}

#[tokio::test]
async fn an_option_that_is_no_network_says_what_to_write() {
    for option in ["--proxy-protocol", "--trusted-proxy"] {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_tauon"))
            .args([option, "balancer"])
            .output()
            .expect("it can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success()
                && said.contains("`balancer` is no network")
                && said.contains("10.0.0.0/8"),
            "{said}"
        );
    }
}

/// Names and values.
type Headers = &'static [(&'static str, &'static str)];

fn forwarded(headers: Headers) -> Request<Body> {
    let mut asked = request(Method::GET, "/echo?q", empty());
    for (name, value) in headers {
        asked.headers_mut().append(*name, value.parse().expect("a value"));
    }
    asked
}

/// Client and URL, as the guest was told.
fn told(reply: &Reply) -> (String, String) {
    let line = |name: &str| reply.line(name).unwrap_or_default().to_owned();
    (line("header spin-client-addr"), line("header spin-full-url"))
}

#[tokio::test]
async fn what_proxies_say_of_their_clients_is_believed_if_they_are_trusted() {
    let arguments = [
        ["--trusted-proxy", BALANCER],
        ["--trusted-proxy", "10.0.0.0/8"],
        ["--trusted-proxy", "unix"],
        ["--proxy-protocol", "127.0.0.4"],
    ];
    let doors = Doors::open(arguments.as_flattened()).await;
    let cases: [(Headers, (&str, &str)); 4] = [
        (
            &[
                ("x-forwarded-for", "198.51.100.1, 203.0.113.7, 10.0.0.9"),
                ("x-forwarded-proto", "https"),
                ("x-forwarded-host", "shop.example"),
                ("x-forwarded-port", "8443"),
            ],
            ("203.0.113.7:0", "https://shop.example:8443/echo?q"),
        ),
        (
            &[(
                "forwarded",
                "for=198.51.100.1, for=\"[2001:db8::7]:4711\";proto=https;host=shop.example, for=10.0.0.9",
            )],
            ("[2001:db8::7]:4711", "https://shop.example/echo?q"),
        ),
        (
            &[("forwarded", "for=_secret;proto=https")],
            ("0.0.0.0:0", "https://localhost/echo?q"),
        ),
        (
            &[("x-forwarded-for", "10.0.0.8, 10.0.0.9")],
            ("10.0.0.8:0", "http://localhost/echo?q"),
        ),
    ];
    for h2 in [false, true] {
        let via_proxy_protocol = v2("10.9.9.9:1");
        for (headers, (client, url)) in cases {
            for (stream, header) in [
                (doors.tcp(BALANCER).await, b"".as_slice()),
                (doors.unix().await, b"".as_slice()),
                // Whom the balancer speaks for is trusted, not the balancer.
                (doors.tcp("127.0.0.4").await, via_proxy_protocol.as_slice()),
            ] {
                let mut connection = speak(stream, header, h2).await.unwrap();
                let reply = connection.send(forwarded(headers)).await.unwrap();
                assert_eq!(told(&reply), (client.to_owned(), url.to_owned()), "{headers:?}");
                let kept = reply.line(&format!("header {}", headers[0].0));
                assert_eq!(kept, Some(headers[0].1));
            }
            let mut connection = speak(doors.tcp(OTHER).await, b"", h2).await.unwrap();
            let reply = connection.send(forwarded(headers)).await.unwrap();
            let (client, url) = told(&reply);
            assert!(client.starts_with("127.0.0.3:"), "{client}");
            assert_eq!(url, "http://localhost/echo?q");
            assert!(!reply.text().contains("forwarded"), "{}", reply.text());
        }
    }
    // A proxy that writes one of the two passes on what its client has forged into the other.
    let forged: Headers = &[
        ("forwarded", "for=198.51.100.1"),
        ("x-forwarded-for", "203.0.113.7"),
    ];
    let mut connection = speak(doors.tcp(BALANCER).await, b"", false).await.unwrap();
    let reply = connection.send(forwarded(forged)).await.unwrap();
    assert_eq!(reply.status, 400);
    let problem: Value = serde_json::from_slice(&reply.body).unwrap();
    assert!(problem["detail"].as_str().unwrap().contains("X-Forwarded-For"));
    assert!(connection.get("/version").await.is_ok());
}

#[tokio::test]
async fn what_is_no_text_names_no_client() {
    let doors = Doors::open(&["--trusted-proxy", BALANCER]).await;
    for name in ["X-Forwarded-For", "Forwarded"] {
        // `for=203.0.113.7`, behind a letter that is not ASCII; the second value is what a proxy adds.
        let head = |value: &[u8]| {
            let begin = format!("GET /echo HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{name}: ");
            [
                begin.as_bytes(),
                value,
                b"\r\n",
                name.as_bytes(),
                b": 203.0.113.7\r\n\r\n",
            ]
            .concat()
        };
        for value in [&b"\xc3\xa9, 203.0.113.7"[..], b"\xff"] {
            let mut raw = Raw::open_from(BALANCER, doors.tcp).await;
            raw.write(head(value)).await;
            let reply = raw.read_all().await;
            assert!(reply.starts_with("HTTP/1.1 400 "), "{name}: {reply}");
            assert!(
                reply.contains("application/problem+json") && reply.contains("is no text"),
                "{name}: {reply}"
            );
            // Nobody else is asked about it, or told of it.
            let mut raw = Raw::open_from(OTHER, doors.tcp).await;
            raw.write(head(value)).await;
            let reply = raw.read_all().await;
            assert!(reply.starts_with("HTTP/1.1 200 "), "{name}: {reply}");
            assert!(
                reply.contains("spin-client-addr 127.0.0.3:")
                    || reply.contains("spin-client-addr: 127.0.0.3:"),
                "{name}: {reply}"
            );
            assert!(!reply.to_lowercase().contains("forwarded"), "{name}: {reply}");
        }
    }
}

/// What a balancer sees that asks for the app's health, and an operator who asks the daemon's.
async fn health(doors: &Doors) -> [u16; 2] {
    let app = get(doors.tcp, "/.well-known/spin/health").await.unwrap();
    let socket = doors.daemon.socket();
    let daemon = Connection::open_unix(&socket).await.unwrap().get("/health").await;
    [app.status.as_u16(), daemon.unwrap().status.as_u16()]
}

#[tokio::test]
async fn a_lame_duck_looks_ill_and_serves_on_until_a_second_signal() {
    let mut doors = Doors::open(&["--lame-duck", "1h"]).await;
    assert_eq!(health(&doors).await, [200, 200]);
    doors.daemon.signal(Signal::TERM);
    until("health to fail", async || match health(&doors).await {
        [503, 503] => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await;
    let line = doors.daemon.wait_log("health checks fail from now on").await;
    assert!(line.contains("lasts=1h"), "{line}");
    for h2 in [false, true] {
        for stream in [doors.tcp(OTHER).await, doors.unix().await] {
            let mut connection = speak(stream, b"", h2).await.unwrap();
            assert_eq!(connection.get("/version").await.unwrap().text(), "1");
        }
    }
    assert!(doors.daemon.stop().await.success());
}

#[tokio::test]
async fn a_lame_duck_ends_by_itself() {
    let mut doors = Doors::open(&["--lame-duck", "100ms"]).await;
    assert!(doors.daemon.stop().await.success());
    let logs = doors.daemon.logs();
    let lame = logs.find("health checks fail from now on").expect("it was one");
    assert!(logs[lame..].contains("stopping"), "{logs}");
}

#[tokio::test]
async fn haproxy_s_clients_are_known_and_it_notices_a_lame_duck() {
    let arguments = [
        ["--proxy-protocol", BALANCER],
        ["--proxy-protocol", "unix"],
        ["--trusted-proxy", OTHER],
        ["--lame-duck", "1h"],
    ];
    let doors = Doors::open(arguments.as_flattened()).await;
    let (tcp, unix) = (doors.tcp, doors.unix.display());
    let haproxy = HaProxy::start(&[
        ("tcp", format!("{tcp} source {BALANCER} send-proxy")),
        ("tcp", format!("{tcp} source {BALANCER} send-proxy-v2")),
        ("tcp", format!("unix@{unix} send-proxy-v2")),
        ("http", format!("{tcp} source {OTHER} check inter 100ms fall 1")),
    ])
    .await;
    let whole = &haproxy.doors[..3];
    for door in whole {
        for h2 in [false, true] {
            let stream = Stream::Left(connect_from("127.0.0.9", *door).await);
            let address = client(stream, b"", h2).await;
            assert!(address.starts_with("127.0.0.9:"), "{door} {address}");
        }
    }
    let door = haproxy.doors[3];
    let stream = Stream::Left(connect_from("127.0.0.9", door).await);
    let mut connection = speak(stream, b"", false).await.unwrap();
    let reply = connection
        .send(forwarded(&[("x-forwarded-for", "198.51.100.1")]))
        .await
        .unwrap();
    assert_eq!(
        told(&reply),
        ("127.0.0.9:0".into(), "https://localhost/echo?q".into())
    );
    doors.daemon.signal(Signal::TERM);
    until("HAProxy to turn to another server", async || {
        let reply = get(door, "/version").await?;
        // It has none.
        match reply.status.as_u16() {
            503 => Ok(()),
            status => Err(status.to_string()),
        }
    })
    .await;
    assert_eq!(get(tcp, "/version").await.unwrap().text(), "1");
}
