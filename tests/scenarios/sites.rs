//! Shared addresses: `host`, `path` and `strip_path` (docs/contract/http-trigger.md §2.6).

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::client::{empty, request};
use crate::support::prelude::*;
use crate::support::raw::Raw;
use crate::support::registry::free_port;
use crate::support::wait::until;

/// One layout for every file: what `/version` answers is said by the file.
fn layout() -> Layout {
    let component = Component::new("probe", guest("probe"));
    Layout::with(&App::new("probe").component(component).route("/...", "probe"))
}

/// An app file whose app answers `version`, with more members.
fn file(layout: &Layout, address: &str, version: &str, more: Value) -> Value {
    let mut file = json!({
        "reference": layout.reference("v1"), "address": address, "environment": {"VERSION": version},
    });
    for (name, value) in more.as_object().expect("members") {
        file[name] = value.clone();
    }
    file
}

/// A port that only this scenario knows, as an app file has it.
fn any_address() -> String {
    format!("127.0.0.1:{}", free_port())
}

/// Clients that each keep one connection, and ask for the version of one host after the other. A connection that ends is a
/// failure, and so is any answer but a version of that host's.
struct Load {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    clients: JoinSet<Result<(), String>>,
}

impl Load {
    /// Two of HTTP/1.1 and one of HTTP/2. `good`: whether a version is one of a host.
    async fn start(
        address: SocketAddr,
        hosts: &[String],
        good: fn(host: &str, version: &str) -> bool,
    ) -> Self {
        let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut clients = JoinSet::new();
        for connection in [
            Connection::open(address).await,
            Connection::open(address).await,
            Connection::open_h2(address).await,
        ] {
            let (hosts, stop, answered) = (hosts.to_vec(), stop.clone(), answered.clone());
            clients.spawn(ask(connection.unwrap(), hosts, stop, answered, good));
        }
        Self {
            stop,
            answered,
            clients,
        }
    }

    /// Waits until each client has had some more answers.
    async fn goes_on(&self) {
        const SOME: usize = 20;
        let before = self.answered.load(Ordering::Relaxed);
        until("more answers", async || {
            let answered = self.answered.load(Ordering::Relaxed) - before;
            if answered >= SOME {
                Ok(())
            } else {
                Err(format!("{answered}"))
            }
        })
        .await;
    }

    /// Ends it; panics when anything went wrong for anybody.
    async fn stop(self) {
        self.goes_on().await;
        self.stop.store(true, Ordering::Relaxed);
        for result in self.clients.join_all().await {
            result.unwrap();
        }
    }
}

async fn ask(
    mut connection: Connection,
    hosts: Vec<String>,
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicUsize>,
    good: fn(&str, &str) -> bool,
) -> Result<(), String> {
    for host in hosts.iter().cycle() {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let reply = connection.host(host).get("/version").await?;
        if reply.status != 200 || !good(host, reply.text()) {
            return Err(format!("{host}: {} {}", reply.status, reply.text()));
        }
        answered.fetch_add(1, Ordering::Relaxed);
    }
    connection
        .is_open()
        .then_some(())
        .ok_or("a connection was closed".into())
}

#[tokio::test]
async fn the_most_specific_host_answers_and_then_the_longest_path() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    let sites = [
        ("exact", json!({"host": "a.shop.example"})),
        ("exact-path", json!({"host": "a.shop.example", "path": "/cart"})),
        (
            "exact-longer",
            json!({"host": "a.shop.example", "path": "/cart/old"}),
        ),
        (
            "long-wildcard",
            json!({"host": ["*.shop.example", "other.example"]}),
        ),
        ("short-wildcard", json!({"host": "*.example"})),
        ("path", json!({"path": "/cart"})),
        ("ip", json!({"host": "127.0.0.1"})),
    ];
    for (name, more) in sites {
        daemon.serve(name, &file(&layout, &address, name, more)).await;
    }
    let address: SocketAddr = address.parse().unwrap();
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        for (host, path, version) in [
            ("a.shop.example", "/version", "exact"),
            ("A.Shop.Example.:81", "/version", "exact"),
            ("a.shop.example", "/cart/version", "exact-path"),
            ("a.shop.example", "/carts/version", "exact"),
            ("a.shop.example", "/cart/old/version", "exact-longer"),
            ("b.shop.example", "/cart/version", "long-wildcard"),
            ("c.b.shop.example", "/version", "long-wildcard"),
            ("other.example", "/version", "long-wildcard"),
            ("shop.example", "/version", "short-wildcard"),
            ("example", "/cart/version", "path"),
            ("127.0.0.1", "/version", "ip"),
        ] {
            let reply = connection.host(host).get(path).await.unwrap();
            assert_eq!(reply.text(), version, "{host}{path}");
        }
        let reply = connection.host("example").get("/a%22b?x").await.unwrap();
        assert_eq!(reply.status, 404);
        assert_eq!(reply.header("content-type"), Some("application/problem+json"));
        let problem: Value = serde_json::from_slice(&reply.body).unwrap();
        let expected = json!({
            "type": "about:blank", "title": "Not Found", "status": 404, "instance": "/a%22b",
            "detail": "no app is served at example/a%22b",
        });
        assert_eq!(problem, expected);
    }
}

#[tokio::test]
async fn a_request_without_a_host_is_for_apps_of_every_host_and_one_with_two_is_refused() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    daemon
        .serve("a", &file(&layout, &address, "a", json!({"host": "a.example"})))
        .await;
    let socket: SocketAddr = address.parse().unwrap();
    let ask = async |request: &str| {
        let mut raw = Raw::open(socket).await;
        raw.write(request).await;
        raw.read_all().await
    };
    let reply = ask("GET /version HTTP/1.0\r\n\r\n").await;
    assert!(reply.starts_with("HTTP/1.0 404 "), "{reply}");
    let two = "GET /version HTTP/1.1\r\nhost: a.example\r\nhost: b.example\r\nconnection: close\r\n\r\n";
    let reply = ask(two).await;
    assert!(reply.starts_with("HTTP/1.1 400 "), "{reply}");
    daemon
        .serve(
            "all",
            &file(&layout, &address, "all", json!({"path": "/.well-known"})),
        )
        .await;
    let reply = ask("GET /.well-known/spin/health HTTP/1.0\r\n\r\n").await;
    assert!(reply.ends_with("OK"), "{reply}");
    for (target, status) in [
        ("http://A.example/version", "200"),
        ("http://b.example/version", "400"),
    ] {
        let absolute = format!("GET {target} HTTP/1.1\r\nhost: a.example\r\nconnection: close\r\n\r\n");
        let reply = ask(&absolute).await;
        assert!(
            reply.starts_with(&format!("HTTP/1.1 {status} ")),
            "{target}: {reply}"
        );
    }
}

#[tokio::test]
async fn a_host_that_two_files_claim_changes_hands_without_a_failed_request() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    let hosts = |hosts: &[&str]| json!({"host": hosts, "path": "/"});
    let socket = daemon
        .serve(
            "old",
            &file(&layout, &address, "old", hosts(&["one", "two", "three"])),
        )
        .await;
    daemon
        .serve(
            "neighbour",
            &file(&layout, &address, "neighbour", hosts(&["four"])),
        )
        .await;
    daemon.write_app("new", &file(&layout, &address, "new", hosts(&["zero", "two"])));
    let waiting = daemon.wait_state("new", "waiting").await;
    for part in [
        &format!("two at address {address} is held by app old"),
        "old.json",
    ] {
        assert!(waiting.error().contains(part), "{}", waiting.error());
    }
    let hosts_asked = ["one", "two", "three", "four"].map(String::from);
    let load = Load::start(socket, &hosts_asked, |host, version| match host {
        "four" => version == "neighbour",
        "two" => ["old", "new"].contains(&version),
        "three" => ["old", "third"].contains(&version),
        _ => version == "old",
    })
    .await;
    load.goes_on().await;
    // An edit hands over one of them, and a file that is split another.
    daemon.write_app("old", &file(&layout, &address, "old", hosts(&["one", "three"])));
    daemon.wait_state("new", "running").await;
    load.goes_on().await;
    daemon.write_app("third", &file(&layout, &address, "third", hosts(&["three"])));
    daemon.wait_state("third", "waiting").await;
    daemon.write_app("old", &file(&layout, &address, "old", hosts(&["one"])));
    daemon.wait_state("third", "running").await;
    load.stop().await;
    let mut connection = Connection::open(socket).await.unwrap();
    for (host, version) in [
        ("zero", "new"),
        ("one", "old"),
        ("two", "new"),
        ("three", "third"),
    ] {
        let reply = connection.host(host).get("/version").await.unwrap();
        assert_eq!(reply.text(), version, "{host}");
    }
}

#[tokio::test]
async fn a_neighbour_s_connection_is_the_same_after_every_change_of_an_app() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    let site =
        |host: &str, path: &str, drain: &str| json!({"host": host, "path": path, "drain_timeout": drain});
    let socket = daemon
        .serve("kept", &file(&layout, &address, "kept", site("kept", "/", "30s")))
        .await;
    let mut one = Connection::open(socket).await.unwrap();
    let mut two = Connection::open_h2(socket).await.unwrap();
    // A response that is under way all the time.
    let mut streaming = Connection::open_h2(socket).await.unwrap();
    let slow = request(http::Method::GET, "/stream?n=100000&ms=20", empty());
    let mut stream = streaming.host("kept").stream(slow).await.unwrap();
    let mut still = async |what: &str| {
        for connection in [&mut one, &mut two] {
            assert_eq!(
                connection.host("kept").get("/version").await.unwrap().text(),
                "kept",
                "{what}"
            );
        }
        assert!(stream.next().await.unwrap().is_some(), "{what}");
    };
    let other =
        |version: &str, host: &str, path: &str| file(&layout, &address, version, site(host, path, "0s"));
    let answers = async |host: &str, path: &str, version: &str| {
        until(&format!("{version} at {host}{path}"), async || {
            let mut connection = Connection::open(socket).await?;
            let reply = connection.host(host).get(path).await?;
            if reply.text() == version {
                Ok(())
            } else {
                Err(reply.text().to_owned())
            }
        })
        .await;
    };
    daemon.serve("other", &other("1", "other", "/")).await;
    still("a start").await;
    // On the same connection as the one that is kept, a request that the end of its app cuts off.
    let hanging = request(http::Method::GET, "/sleep?ms=600000", empty());
    let mut beside = streaming.beside();
    let hangs = beside.host("other").stream(hanging);
    let edit = async {
        // Sent after the other one, and answered: that one has begun.
        let reply = streaming.host("other").get("/version").await.unwrap();
        assert_eq!(reply.text(), "1");
        daemon.write_app("other", &other("2", "other", "/x"));
        answers("other", "/x/version", "2").await;
    };
    let (cut, ()) = tokio::join!(hangs, edit);
    let cut = cut.unwrap();
    assert_eq!(cut.status, 503);
    assert_eq!(cut.headers["content-type"], "application/problem+json");
    still("an edit of a path").await;
    daemon.write_app("other", &other("3", "another", "/x"));
    answers("another", "/x/version", "3").await;
    still("an edit of a host").await;
    daemon.write_app("other", &other("4", "kept", "/x"));
    answers("kept", "/x/version", "4").await;
    still("an edit to below the neighbour").await;
    daemon.remove_app("other");
    daemon.wait_gone("other").await;
    still("a stop").await;
    assert!(one.is_open() && two.is_open());
    assert_eq!(one.host("another").get("/x").await.unwrap().status, 404);
}

#[tokio::test]
async fn the_end_of_one_app_cuts_off_no_response_of_another_not_even_at_the_end_of_all() {
    for at_once in [false, true] {
        let (layout, mut daemon, address) = (layout(), Daemon::start().await, any_address());
        let site = |host: &str, drain: &str| json!({"host": host, "drain_timeout": drain});
        let socket = daemon
            .serve("slow", &file(&layout, &address, "slow", site("slow", "60s")))
            .await;
        daemon
            .serve("quick", &file(&layout, &address, "quick", site("quick", "0s")))
            .await;
        let mut connection = Connection::open(socket).await.unwrap();
        let slow = request(http::Method::GET, "/stream?n=60&ms=50", empty());
        let mut stream = connection.host("slow").stream(slow).await.unwrap();
        stream.next().await.unwrap();
        if at_once {
            daemon.signal(rustix::process::Signal::TERM);
        } else {
            daemon.remove_app("slow");
            daemon.remove_app("quick");
            daemon.wait_gone("quick").await;
        }
        let reply = stream.finish().await.unwrap();
        assert!(
            reply.text().ends_with("chunk 59 of version slow\n"),
            "{}",
            reply.text()
        );
        if at_once {
            assert!(daemon.wait().await.success());
        }
    }
}

#[tokio::test]
async fn an_app_whose_prefix_is_removed_is_told_what_the_client_asked_for() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    let site = json!({"host": "shop.example", "path": "/shop/eu", "strip_path": true});
    let socket = daemon.serve("app", &file(&layout, &address, "1", site)).await;
    for connection in [Connection::open(socket).await, Connection::open_h2(socket).await] {
        let mut connection = connection.unwrap();
        let mut asked = request(http::Method::GET, "/shop/eu/cart/echo?q=1", empty());
        asked
            .headers_mut()
            .insert("x-forwarded-prefix", "/forged".parse().unwrap());
        let reply = connection.host("shop.example").send(asked).await.unwrap();
        for (name, value) in [
            ("target", "/cart/echo?q=1"),
            (
                "header spin-full-url",
                "http://shop.example/shop/eu/cart/echo?q=1",
            ),
            ("header spin-path-info", "/cart/echo"),
            ("header spin-matched-route", "/..."),
            ("header spin-base-path", "/shop/eu"),
            ("header x-forwarded-prefix", "/shop/eu"),
        ] {
            assert_eq!(reply.line(name), Some(value), "{name} in {}", reply.text());
        }
        assert!(!reply.text().contains("forged"), "{}", reply.text());
        let reply = connection.get("/shop/eu").await.unwrap();
        assert_eq!(reply.line("target"), Some("/"), "{}", reply.text());
        let health = connection.get("/shop/eu/.well-known/spin/health").await.unwrap();
        assert_eq!(health.text(), "OK");
    }
    let log = daemon.logs();
    assert!(
        log.contains(&format!("serving http://shop.example:{}/shop/eu ", socket.port())),
        "{log}"
    );
    assert!(
        log.contains(&format!(
            "probe: http://shop.example:{}/shop/eu (wildcard)",
            socket.port()
        )),
        "{log}"
    );
}

#[tokio::test]
async fn unix_sockets_and_names_are_shared_too() {
    let (layout, daemon) = (layout(), Daemon::start().await);
    let path = daemon.root().join("run/apps.sock");
    let unix = format!("unix:{}", path.display());
    let name = format!("localhost:{}", free_port());
    for address in [&unix, &name] {
        for version in ["a", "b"] {
            let id = format!("{version}-{}", address.len());
            daemon.write_app(&id, &file(&layout, address, version, json!({"host": version})));
            daemon.wait_state(&id, "running").await;
        }
    }
    let mut over_unix = Connection::open_unix(&path).await.unwrap();
    let by_name = daemon.address(&format!("a-{}", name.len())).await;
    let mut over_name = Connection::open(by_name).await.unwrap();
    for host in ["a", "b"] {
        for connection in [&mut over_unix, &mut over_name] {
            assert_eq!(connection.host(host).get("/version").await.unwrap().text(), host);
        }
    }
    // The first of them goes: the socket stays for the other.
    daemon.remove_app(&format!("a-{}", unix.len()));
    daemon.wait_gone(&format!("a-{}", unix.len())).await;
    assert_eq!(over_unix.host("b").get("/version").await.unwrap().text(), "b");
    assert_eq!(over_unix.host("a").get("/version").await.unwrap().status, 404);
    // Written in another way, it is another address, which can't be open beside this one.
    let same = format!("127.0.0.1:{}", by_name.port());
    daemon.write_app("same", &file(&layout, &same, "c", json!({"host": "c"})));
    let waiting = daemon.wait_state("same", "waiting").await;
    assert!(
        waiting.error().contains("written in the same way"),
        "{}",
        waiting.error()
    );
}

#[tokio::test]
async fn the_status_shows_where_at_its_address_an_app_is() {
    let (layout, daemon, address) = (layout(), Daemon::start().await, any_address());
    let sites = [
        ("cart", json!({"host": "shop.example", "path": "/cart"})),
        ("two", json!({"host": ["a.example", "b.example", "*.b.example"]})),
        ("rest", json!({})),
    ];
    for (name, more) in sites {
        daemon.serve(name, &file(&layout, &address, name, more)).await;
    }
    let table = String::from_utf8(daemon.command(&["status"]).await.stdout).unwrap();
    for shown in [
        format!("{address} shop.example/cart"),
        format!("{address} a.example +2"),
    ] {
        assert!(table.contains(&shown), "{shown} in\n{table}");
    }
    let status = daemon.status().await;
    let sites = |name: &str| status["apps"][name]["sites"].clone();
    assert_eq!(sites("two"), json!(["a.example", "b.example", "*.b.example"]));
    assert_eq!(sites("rest"), json!([]));
    assert_eq!(status["apps"]["cart"]["address"], address);
}

/// 500 files, of which some come, go and change while clients ask for others, and for those that change.
#[tokio::test]
async fn five_hundred_hosts_on_one_address_come_and_go_under_load() {
    const HOSTS: usize = 500;
    const ASKED: usize = 25;
    const ROUNDS: usize = 8;
    const CHANGED_AT_ONCE: usize = 12;
    let (layout, address) = (layout(), any_address());
    let app = |host: &str, version: &str| file(&layout, &address, version, json!({"host": host}));
    let host = |number: usize| format!("h{number}.example");
    let daemon = (0..HOSTS).fold(Daemon::builder(), |builder, number| {
        builder.app(&format!("app{number}"), &app(&host(number), &host(number)))
    });
    let daemon = daemon.start().await;
    let all_run = async |count: usize| {
        until(&format!("{count} apps to run"), async || {
            let status = daemon.status().await;
            let apps = status["apps"].as_object().unwrap();
            let run = apps.values().filter(|app| app["state"] == "running").count();
            if (run, apps.len()) == (count, count) {
                Ok(())
            } else {
                Err(format!("{run} of {}", apps.len()))
            }
        })
        .await;
    };
    all_run(HOSTS).await;
    let socket: SocketAddr = address.parse().unwrap();
    let asked: Vec<String> = (0..ASKED).map(host).collect();
    let load = Load::start(socket, &asked, |host, version| version.starts_with(host)).await;
    let mut connection = Connection::open(socket).await.unwrap();
    let mut answer = async |host: &str| {
        let reply = connection.host(host).get("/version").await.unwrap();
        (reply.status.as_u16(), reply.text().to_owned())
    };
    for round in 0..ROUNDS {
        let first = ASKED + round * 4 * CHANGED_AT_ONCE;
        for number in first..first + CHANGED_AT_ONCE {
            daemon.remove_app(&format!("app{number}"));
            daemon.write_app(&format!("new{number}"), &app(&format!("n{number}"), "new"));
            let moved = number + CHANGED_AT_ONCE;
            daemon.write_app(&format!("app{moved}"), &app(&format!("m{moved}"), "moved"));
            // The file goes and another has its host.
            let renamed = moved + CHANGED_AT_ONCE;
            daemon.remove_app(&format!("app{renamed}"));
            daemon.write_app(&format!("renamed{renamed}"), &app(&host(renamed), "renamed"));
        }
        // One of those that are asked for is a new version.
        let edited = format!("app{}", round % ASKED);
        let version = format!("{} again", host(round % ASKED));
        daemon.write_app(&edited, &app(&host(round % ASKED), &version));
        all_run(HOSTS).await;
        for number in first..first + CHANGED_AT_ONCE {
            let (moved, renamed) = (number + CHANGED_AT_ONCE, number + 2 * CHANGED_AT_ONCE);
            for (host, expected) in [
                (format!("n{number}"), "new"),
                (format!("m{moved}"), "moved"),
                (host(renamed), "renamed"),
                (
                    host(number + 3 * CHANGED_AT_ONCE),
                    &host(number + 3 * CHANGED_AT_ONCE),
                ),
            ] {
                until(&format!("{expected} at {host}"), async || {
                    match answer(&host).await {
                        (200, version) if version == expected => Ok(()),
                        (status, text) => Err(format!("{status} {text}")),
                    }
                })
                .await;
            }
            for gone in [number, moved] {
                until(&format!("the end of {gone}"), async || {
                    match answer(&host(gone)).await {
                        (404, _) => Ok(()),
                        (status, text) => Err(format!("{status} {text}")),
                    }
                })
                .await;
            }
        }
        load.goes_on().await;
    }
    load.stop().await;
    assert_eq!(daemon.log_lines("ERROR"), [""; 0]);
}
