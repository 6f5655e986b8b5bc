//! Limits for each app: each is reached by a guest, while a neighbour is asked all the time and answers.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method};
use hyper::body::Frame;
use serde_json::Value;

use crate::support::client::{channel, empty, request};
use crate::support::load::{Load, failures};
use crate::support::peer::Peer;
use crate::support::prelude::*;
use crate::support::wait::until;

/// A daemon with a neighbour under load, and the layout of another app.
struct Street {
    daemon: Daemon,
    layout: Layout,
    neighbour: Load,
    _neighbours: Layout,
}

impl Street {
    async fn with(app: &App) -> Self {
        Self::on(Daemon::start().await, app).await
    }

    async fn on(daemon: Daemon, app: &App) -> Self {
        let neighbours = Layout::with(&App::of("probe", "1"));
        let address = daemon.serve("neighbour", &neighbours.file("v1")).await;
        Self {
            daemon,
            layout: Layout::with(app),
            neighbour: Load::start(address, 1),
            _neighbours: neighbours,
        }
    }

    /// Serves the app with these limits.
    async fn serve(&self, limits: Value) -> SocketAddr {
        self.serve_as("app", limits).await
    }

    async fn serve_as(&self, id: &str, limits: Value) -> SocketAddr {
        let mut file = self.layout.file("v1");
        file["limits"] = limits;
        self.daemon.serve(id, &file).await
    }

    /// Waits until the log has said that the app reached that limit.
    async fn told(&self, limit: &str) {
        until(&format!("{limit} to be told"), async || {
            match self.daemon.logs().contains(&format!("limit=\"{limit}\"")) {
                true => Ok(()),
                false => Err(self.daemon.logs()),
            }
        })
        .await;
    }

    /// The neighbour's clients have all been answered.
    async fn end(self) {
        let outcomes = self.neighbour.stop().await;
        assert!(outcomes.len() >= 4, "{} requests", outcomes.len());
        assert_eq!(failures(&outcomes), [""; 0]);
    }
}

/// A guest that may do everything.
fn app(guest_name: &str) -> App {
    let component = Component::new(guest_name, guest(guest_name))
        .env("VERSION", "1")
        .allow("*://*:*");
    App::new(guest_name)
        .component(component)
        .route("/...", guest_name)
}

#[tokio::test]
async fn a_guest_that_burns_its_time_is_ended() {
    for guest in ["probe", "probe3"] {
        let street = Street::with(&app(guest)).await;
        let address = street.serve(json!({"cpu_time": "100ms"})).await;
        let burning = (0..8).map(|_| get(address, "/spin"));
        for reply in futures::future::join_all(burning).await {
            assert_eq!(reply.unwrap().status, 500, "{guest}");
        }
        street.told("cpu_time").await;
        // Waiting is no burning.
        assert_eq!(
            get(address, "/sleep?ms=300").await.unwrap().text(),
            "1",
            "{guest}"
        );
        street.end().await;
    }
}

#[tokio::test]
async fn a_response_that_takes_too_long_is_given_up_or_broken_off() {
    for guest in ["probe", "probe3"] {
        let street = Street::with(&app(guest)).await;
        let address = street.serve(json!({"request_time": "400ms"})).await;
        for path in ["/sleep?ms=3600000", "/spin"] {
            let reply = get(address, path).await.unwrap();
            assert_eq!(reply.status, 504, "{guest} {path}");
        }
        street.told("request_time").await;
        for connection in [
            Connection::open(address).await,
            Connection::open_h2(address).await,
        ] {
            let mut connection = connection.unwrap();
            let endless = request(Method::GET, "/stream?n=1000000&ms=50", empty());
            let mut stream = connection.stream(endless).await.unwrap();
            assert_eq!(stream.status, 200, "{guest}");
            assert!(stream.next().await.unwrap().is_some(), "{guest}");
            stream.finish().await.expect_err("it is broken off");
        }
        assert_eq!(get(address, "/version").await.unwrap().text(), "1", "{guest}");
        street.end().await;
    }
}

#[tokio::test]
async fn an_instance_gets_no_more_memory_than_it_may() {
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({"memory": "16MiB"})).await;
    assert_eq!(get(address, "/alloc?mb=4").await.unwrap().status, 200);
    assert_eq!(get(address, "/alloc?mb=64").await.unwrap().status, 500);
    street.told("memory").await;
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    // What can't even start is not served, and says why.
    let mut file = street.layout.file("v1");
    file["limits"] = json!({"memory": "64KiB"});
    street.daemon.write_app("tiny", &file);
    street
        .daemon
        .wait_error("tiny", "more memory than the app's limit `memory` allows")
        .await;
    street.end().await;
}

#[tokio::test]
async fn requests_wait_in_a_queue_that_has_an_end() {
    let street = Street::with(&app("probe")).await;
    let address = street
        .serve(json!({"requests": 1, "queue": 1, "queue_time": "1h"}))
        .await;
    let mut holding = Connection::open(address).await.unwrap();
    let (sender, body) = channel();
    let held = holding
        .stream(request(Method::POST, "/pipe", body))
        .await
        .unwrap();
    assert_eq!(held.status, 200);
    let mut waiting = vec![
        tokio::spawn(get_version(address)),
        tokio::spawn(get_version(address)),
    ];
    // One of them waits; the other is turned away, and tells when to come back.
    let (turned_away, _, rest) = futures::future::select_all(waiting.drain(..)).await;
    assert_eq!(turned_away.unwrap(), (503, Some("1".to_owned())));
    street.told("requests").await;
    sender
        .unbounded_send(Frame::data(Bytes::from_static(b"a")))
        .unwrap();
    drop(sender);
    held.finish().await.unwrap();
    for waiting in rest {
        assert_eq!(waiting.await.unwrap(), (200, None));
    }

    // Without patience, who would wait is turned away as well.
    let hasty = json!({"requests": 1, "queue_time": "1ms"});
    let address = street.serve_as("hasty", hasty).await;
    let mut holding = Connection::open(address).await.unwrap();
    let (_sender, body) = channel();
    let held = holding
        .stream(request(Method::POST, "/pipe", body))
        .await
        .unwrap();
    assert_eq!(get_version(address).await.0, 503);
    drop(held);
    street.end().await;
}

async fn get_version(address: SocketAddr) -> (u16, Option<String>) {
    let reply = get(address, "/version").await.unwrap();
    let retry_after = reply.header("retry-after").map(str::to_owned);
    (reply.status.as_u16(), retry_after)
}

#[tokio::test]
async fn clients_that_ask_too_often_are_told_when_to_come_back() {
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({"rate": "1/h", "burst": 2})).await;
    for _ in 0..2 {
        assert_eq!(get_version(address).await, (200, None));
    }
    let (status, retry_after) = get_version(address).await;
    let seconds: u64 = retry_after.unwrap().parse().unwrap();
    assert_eq!(status, 429);
    assert!((3000..=3600).contains(&seconds), "{seconds}");
    let health = get(address, "/.well-known/spin/health").await.unwrap();
    assert_eq!(health.status, 200);
    street.told("rate").await;
    street.end().await;
}

#[tokio::test]
async fn an_app_says_one_half_of_a_limit_and_the_daemon_the_other() {
    let layout = Layout::with(&app("probe"));
    let serve = async |daemon: &Daemon, id: &str, limits: Value| {
        let mut file = layout.file("v1");
        file["limits"] = limits;
        daemon.serve(id, &file).await
    };
    let daemon = Daemon::builder()
        .arg("--limits")
        .arg(r#"{"rate": "1/h"}"#)
        .start()
        .await;
    let bursty = serve(&daemon, "bursty", json!({"burst": 3})).await;
    let steady = serve(&daemon, "steady", json!({})).await;
    for (address, at_once) in [(bursty, 3), (steady, 1)] {
        for _ in 0..at_once {
            assert_eq!(get_version(address).await.0, 200);
        }
        assert_eq!(get_version(address).await.0, 429);
    }

    let daemon = Daemon::builder()
        .arg("--limits")
        .arg(r#"{"requests": 1}"#)
        .start()
        .await;
    let hasty = serve(&daemon, "hasty", json!({"queue_time": "1ms"})).await;
    let patient = serve(&daemon, "patient", json!({"queue_time": "1h"})).await;
    let hold = async |address| {
        let (sender, body) = channel();
        let mut connection = Connection::open(address).await.unwrap();
        let held = connection
            .stream(request(Method::POST, "/pipe", body))
            .await
            .unwrap();
        assert_eq!(held.status, 200);
        (sender, connection, held)
    };
    let (_hasty, patiently) = (hold(hasty).await, hold(patient).await);
    let waiting = tokio::spawn(get_version(patient));
    assert_eq!(get_version(hasty).await.0, 503);
    drop(patiently);
    assert_eq!(waiting.await.unwrap().0, 200);

    // Where nobody says how often, it does not matter how often at once; and an app has many places.
    let daemon = Daemon::start().await;
    let halves = serve(&daemon, "halves", json!({"burst": 1, "queue_time": "1ms"})).await;
    let _held = (hold(halves).await, hold(halves).await);
    for _ in 0..5 {
        assert_eq!(get_version(halves).await.0, 200);
    }
}

#[tokio::test]
async fn a_body_is_as_large_as_it_may_be() {
    for guest in ["probe", "probe3"] {
        let street = Street::with(&app(guest)).await;
        let address = street.serve(json!({"body": 10})).await;
        for open in [false, true] {
            let mut connection = match open {
                false => Connection::open(address).await,
                true => Connection::open_h2(address).await,
            }
            .unwrap();
            let reply = connection.post("/echo", "0123456789").await.unwrap();
            assert!(
                reply.text().ends_with("body 10 bytes\n0123456789"),
                "{guest}: {}",
                reply.text()
            );
            // Its length is announced.
            assert_eq!(connection.post("/echo", "0123456789a").await.unwrap().status, 413);
            // It is not.
            let mut connection = match open {
                false => Connection::open(address).await,
                true => Connection::open_h2(address).await,
            }
            .unwrap();
            let (sender, body) = channel();
            for piece in ["01234", "56789", "abcde"] {
                sender
                    .unbounded_send(Frame::data(Bytes::from_static(piece.as_bytes())))
                    .unwrap();
            }
            drop(sender);
            let reply = connection
                .send(request(Method::POST, "/echo", body))
                .await
                .unwrap();
            assert_eq!(reply.status, 413, "{guest}");
            // Its response has begun.
            let mut connection = match open {
                false => Connection::open(address).await,
                true => Connection::open_h2(address).await,
            }
            .unwrap();
            let (sender, body) = channel();
            let piece = || Frame::data(Bytes::from_static(b"0123456"));
            sender.unbounded_send(piece()).unwrap();
            let mut stream = connection
                .stream(request(Method::POST, "/pipe", body))
                .await
                .unwrap();
            assert_eq!(stream.next().await.unwrap().unwrap(), "0123456", "{guest}");
            sender.unbounded_send(piece()).unwrap();
            stream.finish().await.expect_err("it is broken off");
        }
        street.told("body").await;
        street.end().await;
    }
}

#[tokio::test]
async fn headers_are_as_large_as_they_may_be() {
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({"headers": "2KiB"})).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        for (size, status) in [(1500, 200), (2100, 431)] {
            let mut large = request(Method::GET, "/version", empty());
            let value = HeaderValue::from_str(&"x".repeat(size)).unwrap();
            large.headers_mut().insert("x-large", value);
            assert_eq!(connection.send(large).await.unwrap().status, status);
        }
    }
    street.told("headers").await;
    street.end().await;
}

#[tokio::test]
async fn an_app_reaches_no_network_but_those_that_it_is_kept_in() {
    let peer = Peer::plain().await;
    let street = Street::with(&app("probe")).await;
    let address = street
        .serve(json!({"outbound_networks": ["10.0.0.0/8", "::/0"]}))
        .await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let path = format!("/fetch?url=http://{host}:{}/", peer.address().port());
        let reply = get(address, &path).await.unwrap();
        let text = reply.text();
        // The system may know another address for the name, where nobody listens.
        let refused = text.contains("DestinationIpProhibited")
            || (host == "localhost" && text.contains("ConnectionRefused"));
        assert!(refused, "{host}: {text}");
    }
    let socket = format!("/tcp?address={}", peer.address());
    assert_eq!(get(address, &socket).await.unwrap().status, 502);
    assert_eq!(peer.connections(), 0);
    let logs = street.daemon.logs();
    assert!(
        logs.contains(r#"\"outbound_networks\": [\"127.0.0.1\"]"#),
        "{logs}"
    );
    let address = street
        .serve_as("inside", json!({"outbound_networks": ["127.0.0.1"]}))
        .await;
    let path = format!("/fetch?url=http://{}/", peer.address());
    assert_eq!(get(address, &path).await.unwrap().text(), "200\nHTTP/1.1 unknown");
    street.end().await;
}

#[tokio::test]
async fn connections_of_all_kinds_have_a_number() {
    let peer = Peer::plain().await;
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({"outbound_connections": 0})).await;
    let path = format!("/fetch?url=http://{}/", peer.address());
    let reply = get(address, &path).await.unwrap();
    assert!(
        reply.text().contains("ConnectionLimitReached"),
        "{}",
        reply.text()
    );
    assert_eq!(peer.connections(), 0);
    street.end().await;
}

#[tokio::test]
async fn what_a_guest_prints_beyond_its_rate_is_dropped() {
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({"log_rate": "1KiB"})).await;
    let mut connection = Connection::open(address).await.unwrap();
    let path = format!("/print?text=flood-{}", "x".repeat(200));
    for _ in 0..200 {
        assert_eq!(connection.get(&path).await.unwrap().status, 200);
    }
    street.told("log_rate").await;
    let logs = street.daemon.logs();
    let printed = logs.matches("flood-").count();
    assert!((1..150).contains(&printed), "{printed} lines");
    assert_eq!(logs.matches("limit=\"log_rate\"").count(), 1, "{logs}");
    street.end().await;
}

#[tokio::test]
async fn a_state_directory_holds_no_more_than_it_may() {
    const KIB: u64 = 1024;
    let component = Component::new("apis5", guest("apis5"))
        .grant("key_value_stores", "default")
        .grant("databases", "default");
    let app = App::new("apis5").component(component).route("/...", "apis5");
    let street = Street::with(&app).await;
    let address = street.serve(json!({"state_size": "512KiB"})).await;
    let mut connection = Connection::open(address).await.unwrap();
    let mut script = async |path: &str, calls: Vec<Value>| {
        let lines: Vec<String> = calls.iter().map(Value::to_string).collect();
        let reply = connection.post(path, lines.join("\n")).await.unwrap();
        reply.text().to_owned()
    };
    let value = "v".repeat(4096);
    let set = |n| json!(["set", 0, format!("key-{n}"), value]);
    let sets = (0..50).map(set);
    let key_value = "/fermyon:spin/key-value@2.0.0";
    let open = || json!(["open", "default"]);
    let text = script(key_value, [open()].into_iter().chain(sets).collect()).await;
    assert!(!text.contains("full"), "{text}");

    let execute = |sql: &str| json!(["execute", 0, sql, []]);
    let inserts = (0..100).map(|_| execute("INSERT INTO t VALUES (zeroblob(4096))"));
    let calls = [
        open(),
        // Nothing that a guest could lift it with.
        execute("PRAGMA max_page_count = 1000000"),
        execute("CREATE TABLE t (bytes BLOB)"),
    ];
    let text = script(
        "/fermyon:spin/sqlite@2.0.0",
        calls.into_iter().chain(inserts).collect(),
    )
    .await;
    assert!(text.contains("not authorized"), "{text}");
    assert!(text.contains("database or disk is full"), "{text}");

    // Now that the others have taken it, the store has no room either.
    let text = script(
        key_value,
        [open()].into_iter().chain((50..200).map(set)).collect(),
    )
    .await;
    assert!(text.contains("database or disk is full"), "{text}");
    let state = street.daemon.root().join("state/app");
    let files = std::fs::read_dir(state).unwrap();
    let size: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!((300 * KIB..=512 * KIB).contains(&size), "{size} bytes");

    // What is there can still be read and removed.
    let calls = vec![
        open(),
        json!(["exists", 0, "key-1"]),
        json!(["delete", 0, "key-1"]),
    ];
    let text = script(key_value, calls).await;
    assert!(!text.contains("full"), "{text}");
    street.end().await;
}

#[tokio::test]
async fn apps_that_burn_do_not_keep_others_waiting() {
    const BURNING: usize = 64;
    let street = Street::with(&app("probe")).await;
    let address = street.serve(json!({})).await;
    let burning: Vec<_> = (0..BURNING)
        .map(|_| tokio::spawn(get(address, "/spin")))
        .collect();
    // They hold the threads for as long as it takes the neighbour to answer so many.
    let quiet = street.serve_as("quiet", json!({})).await;
    let mut connection = Connection::open(quiet).await.unwrap();
    for _ in 0..100 {
        assert_eq!(connection.get("/version").await.unwrap().text(), "1");
    }
    assert!(burning.iter().all(|burning| !burning.is_finished()));
    for burning in burning {
        burning.abort();
    }
    street.end().await;
}

#[tokio::test]
async fn apps_that_burn_do_so_on_threads_that_make_way_for_others() {
    for (kind, path) in [("probe", "/spin"), ("probe3", "/spin")] {
        let street = Street::with(&app(kind)).await;
        let address = street.serve(json!({})).await;
        let burning = tokio::spawn(get(address, path));
        let pid = street.daemon.pid();
        until("the background to burn", async || match used(pid, "background") {
            used if used >= Duration::from_millis(100) => Ok(()),
            used => Err(format!("{used:?}")),
        })
        .await;
        burning.abort();
        street.end().await;
    }
}

/// The processor's time that threads of this name have used.
fn used(pid: rustix::process::Pid, wanted: &str) -> Duration {
    const TICK: Duration = Duration::from_millis(10);
    let tasks = std::fs::read_dir(format!("/proc/{}/task", pid.as_raw_nonzero())).unwrap();
    // A thread may have ended since.
    let stats = tasks.filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("stat")).ok());
    let ticks = stats.filter_map(|stat| {
        let (name, fields) = stat.split_once('(')?.1.rsplit_once(") ")?;
        let fields: Vec<_> = fields.split(' ').collect();
        // The user's and the kernel's, counted from the state.
        let ticks = fields[11].parse::<u32>().unwrap() + fields[12].parse::<u32>().unwrap();
        (name == wanted).then_some(ticks)
    });
    TICK * ticks.sum()
}

#[tokio::test]
async fn the_daemon_has_limits_for_all_and_a_file_says_otherwise() {
    let limits = json!({"rate": "1/h", "burst": 1, "body": 3});
    let daemon = Daemon::builder()
        .arg("--limits")
        .arg(limits.to_string())
        .start()
        .await;
    let layout = Layout::with(&app("probe"));
    let address = daemon.serve("default", &layout.file("v1")).await;
    assert_eq!(get_version(address).await.0, 200);
    assert_eq!(get_version(address).await.0, 429);
    let mut file = layout.file("v1");
    file["limits"] = json!({"rate": null});
    let address = daemon.serve("own", &file).await;
    for _ in 0..3 {
        assert_eq!(get_version(address).await.0, 200);
    }
    let mut connection = Connection::open(address).await.unwrap();
    assert_eq!(connection.post("/echo", "abcd").await.unwrap().status, 413);

    file["limits"] = json!({"memry": 1});
    daemon.write_app("mistake", &file);
    daemon
        .wait_error("mistake", "unknown limit \"memry\"; did you mean \"memory\"?")
        .await;
}

#[tokio::test]
async fn a_daemon_with_mistaken_limits_does_not_start() {
    let daemon = Daemon::start().await;
    for (limits, expected) in [
        (r#"{"request_time": "soon"}"#, "not a duration such as"),
        ("/nowhere/limits.json", "/nowhere/limits.json: can't be read"),
    ] {
        let output = daemon.command(&["--limits", limits]).await;
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && told.contains(expected), "{told}");
    }
}
