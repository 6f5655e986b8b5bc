//! The access log and the names of requests (docs/contract/http-trigger.md §3, §13).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use http::{HeaderValue, Method};
use hyper::body::Frame;
use rustix::process::Signal;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::client::{channel, empty, request};
use crate::support::prelude::*;
use crate::support::raw::Raw;
use crate::support::wait::until;

/// A daemon with an access log, and one app below `/shop`.
struct Logging {
    daemon: Daemon,
    address: SocketAddr,
    file: PathBuf,
    _layout: Layout,
}

impl Logging {
    async fn start(format: &str, arguments: &[&str]) -> Self {
        let builder = Daemon::builder();
        let file = builder.watched().with_file_name("access.log");
        let builder = builder
            .arg("--access-log")
            .arg(&file)
            .arg("--access-log-format")
            .arg(format);
        let builder = arguments
            .iter()
            .fold(builder, |builder, argument| builder.arg(argument));
        let layout = Layout::with(&App::of("probe", "1"));
        let mut app = layout.file("v1");
        app["path"] = "/shop".into();
        app["strip_path"] = true.into();
        let daemon = builder.start().await;
        let address = daemon.serve("shop", &app).await;
        Self {
            daemon,
            address,
            file,
            _layout: layout,
        }
    }

    /// The first line that has `text`.
    async fn line(&self, text: &str) -> String {
        line(&self.file, text).await
    }

    async fn json(&self, text: &str) -> Value {
        serde_json::from_str(&self.line(text).await).expect("JSON")
    }
}

async fn line(file: &Path, text: &str) -> String {
    until(&format!("a line with {text:?}"), async || {
        let log = fs::read_to_string(file).unwrap_or_default();
        let found = log.split_inclusive('\n').find(|line| line.contains(text));
        match found.and_then(|line| line.strip_suffix('\n')) {
            Some(line) => Ok(line.to_owned()),
            None => Err(log),
        }
    })
    .await
}

#[tokio::test]
async fn the_common_form_is_that_of_web_servers() {
    let logging = Logging::start("common", &[]).await;
    let mut asked = request(Method::GET, "/shop/version?a=%22b%22", empty());
    let headers = asked.headers_mut();
    headers.insert("user-agent", HeaderValue::from_static("a \"browser\""));
    headers.insert("referer", HeaderValue::from_static("http://h/"));
    let mut connection = Connection::open(logging.address).await.unwrap();
    assert_eq!(connection.send(asked).await.unwrap().text(), "1");
    let line = logging.line("/shop/version").await;
    let (client, rest) = line.split_once(" - - [").expect("a client");
    let (time, rest) = rest.split_once("] ").expect("a time");
    assert_eq!(client, "127.0.0.1");
    chrono::DateTime::parse_from_str(time, "%d/%b/%Y:%H:%M:%S %z").expect("the time");
    assert_eq!(
        rest,
        r#""GET /shop/version?a=%22b%22 HTTP/1.1" 200 1 "http://h/" "a \x22browser\x22""#
    );
    // What no app answers is a request too.
    assert_eq!(connection.get("/elsewhere").await.unwrap().status, 404);
    assert!(logging.line("/elsewhere").await.contains("HTTP/1.1\" 404 "));
}

#[tokio::test]
async fn the_json_form_tells_all_that_is_known() {
    let logging = Logging::start("json", &["--trusted-proxy", "127.0.0.1"]).await;
    let mut asked = request(Method::POST, "/shop/bytes?n=1000", empty());
    for (name, value) in [
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-request-id", "order-66"),
    ] {
        asked.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    let mut connection = Connection::open_h2(logging.address).await.unwrap();
    let reply = connection.host("shop.example:81").send(asked).await.unwrap();
    assert_eq!(reply.body.len(), 1000);
    let mut line = logging.json("order-66").await;
    let time = line["time"].take();
    chrono::DateTime::parse_from_rfc3339(time.as_str().unwrap()).expect("the time");
    assert!(line["seconds"].take().as_f64().unwrap() > 0.0);
    let expected = json!({
        "time": null, "client": "203.0.113.7", "method": "POST", "scheme": "https", "host": "shop.example:81",
        "path": "/shop/bytes?n=1000", "protocol": "HTTP/2.0", "status": 200, "bytes": 1000, "seconds": null, "app": "shop",
        "request_id": "order-66", "tls": false, "referer": null, "user_agent": null,
    });
    assert_eq!(line, expected);
    connection.get("/shopping").await.unwrap();
    let line = logging.json("/shopping").await;
    assert_eq!((&line["status"], &line["app"]), (&json!(404), &json!(null)));
}

#[tokio::test]
async fn a_request_has_its_line_when_its_response_has_ended_or_its_client_has_left() {
    let logging = Logging::start("json", &[]).await;
    let mut connection = Connection::open(logging.address).await.unwrap();
    let (pieces, body) = channel();
    pieces.unbounded_send(Frame::data(Bytes::from("first"))).unwrap();
    let piped = request(Method::POST, "/shop/pipe", body);
    let mut stream = connection.stream(piped).await.unwrap();
    assert_eq!(stream.next().await.unwrap().unwrap(), "first");
    // Another one has ended meanwhile, and its line is there.
    get(logging.address, "/shop/version").await.unwrap();
    logging.line("/version").await;
    assert!(!fs::read_to_string(&logging.file).unwrap().contains("/pipe"));
    pieces.unbounded_send(Frame::data(Bytes::from("second"))).unwrap();
    drop(pieces);
    assert_eq!(stream.finish().await.unwrap().body, "second");
    assert_eq!(logging.json("/pipe").await["bytes"], "firstsecond".len());

    let mut raw = Raw::open(logging.address).await;
    raw.write("GET /shop/sleep?ms=60000 HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    drop(raw);
    let line = logging.json("/sleep").await;
    assert_eq!((&line["status"], &line["bytes"]), (&json!(499), &json!(0)));

    // Half a body is not all of it.
    let mut connection = Connection::open(logging.address).await.unwrap();
    assert!(connection.get("/shop/half").await.is_err());
    let line = logging.json("/half").await;
    assert_eq!(
        (&line["status"], &line["bytes"]),
        (&json!(200), &json!("the first half\n".len()))
    );
}

#[tokio::test]
async fn the_file_is_opened_again_at_a_hang_up() {
    let logging = Logging::start("common", &[]).await;
    let mut connection = Connection::open(logging.address).await.unwrap();
    connection.get("/shop/version?before").await.unwrap();
    logging.line("?before").await;
    let old = logging.file.with_extension("old");
    fs::rename(&logging.file, &old).unwrap();
    connection.get("/shop/version?between").await.unwrap();
    line(&old, "?between").await;
    logging.daemon.signal(Signal::HUP);
    until("a new file", async || {
        logging.file.exists().then_some(()).ok_or(String::new())
    })
    .await;
    connection.get("/shop/version?after").await.unwrap();
    logging.line("?after").await;
    assert!(!fs::read_to_string(&old).unwrap().contains("?after"));
}

#[tokio::test]
async fn the_last_lines_are_written_at_the_end() {
    let mut logging = Logging::start("json", &[]).await;
    let mut connection = Connection::open(logging.address).await.unwrap();
    let streamed = request(Method::GET, "/shop/stream?n=3&ms=100", empty());
    let stream = connection.stream(streamed).await.unwrap();
    let (ended, reply) = tokio::join!(logging.daemon.stop(), stream.finish());
    assert!(ended.success());
    reply.unwrap();
    let log = fs::read_to_string(&logging.file).unwrap();
    assert!(log.contains("/stream"), "{log}");
}

#[tokio::test]
async fn standard_output_will_do_and_a_file_that_can_not_be_opened_is_told() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::builder().arg("--access-log").arg("-").start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    get(address, "/version?x").await.unwrap();
    // Both of the daemon's outputs are its log here.
    let line = daemon.wait_log("GET /version?x HTTP/1.1").await;
    assert!(line.starts_with("127.0.0.1 - - ["), "{line}");

    let output = std::process::Command::new(env!("CARGO_BIN_EXE_tauon"))
        .args(["--access-log", "/nowhere/access.log", "--data-dir"])
        .arg(daemon.root().join("other"))
        .current_dir(layout.path())
        .output()
        .expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr) + String::from_utf8_lossy(&output.stdout);
    assert!(
        !output.status.success() && said.contains("can't open the access log /nowhere/access.log"),
        "{said}"
    );
}

#[tokio::test]
async fn a_log_that_nobody_reads_loses_lines_and_slows_no_request() {
    const CLIENTS: usize = 4;
    /// More than wait for the writer, and fit into a pipe.
    const REQUESTS: usize = 10_000;
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.unwrap().success());
    // Both ends, so that neither waits for the other to be opened.
    let _reader = fs::File::options().read(true).write(true).open(&pipe).unwrap();
    let app = App::of("probe", "1").static_response("/static", json!({"body": "static"}));
    let layout = Layout::with(&app);
    let daemon = Daemon::builder().arg("--access-log").arg(&pipe).start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(async move {
            let mut connection = Connection::open(address).await?;
            for _ in 0..REQUESTS / CLIENTS {
                assert_eq!(connection.get("/static").await?.text(), "static");
            }
            Ok::<_, String>(())
        });
    }
    for result in clients.join_all().await {
        result.unwrap();
    }
    let line = daemon.wait_log("lines of the access log are lost").await;
    assert!(line.contains("WARN"), "{line}");
    assert_eq!(daemon.log_lines("lines of the access log are lost").len(), 1);
}

#[tokio::test]
async fn a_request_keeps_its_name_and_one_without_is_given_one() {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    for connection in [
        Connection::open(address).await,
        Connection::open_h2(address).await,
    ] {
        let mut connection = connection.unwrap();
        let mut ids = Vec::new();
        for (sent, kept) in [
            (Some("Root=1-67891233-abcdef0123456789"), true),
            (Some("two words"), false),
            (Some(""), false),
            (None, false),
        ] {
            let mut asked = request(Method::GET, "/echo", empty());
            if let Some(sent) = sent {
                asked
                    .headers_mut()
                    .insert("x-request-id", HeaderValue::from_static(sent));
            }
            let reply = connection.send(asked).await.unwrap();
            let id = reply.header("x-request-id").unwrap();
            assert_eq!(reply.line("header x-request-id"), Some(id));
            assert_eq!(Some(id) == sent, kept, "{id}");
            ids.push(id.to_owned());
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 4, "{ids:?}");
        // Those that no guest answers have one too.
        let reply = connection.get("/.well-known/spin/nothing").await.unwrap();
        assert!(reply.status == 404 && reply.header("x-request-id").is_some());
    }
}

#[tokio::test]
async fn a_failure_of_a_guest_is_logged_with_the_name_of_the_request() {
    for (guest_name, paths) in [("probe", ["/trap", "/half"]), ("probe3", ["/trap", "/error"])] {
        let (daemon, _layout, address) = served(&App::of(guest_name, "1")).await;
        let mut connection = Connection::open(address).await.unwrap();
        for path in paths {
            let id = format!("{guest_name}{}", path.replace('/', "-"));
            let mut asked = request(Method::GET, path, empty());
            asked.headers_mut().insert("x-request-id", id.parse().unwrap());
            // A response that was cut off ends the connection.
            if !connection.is_open() {
                connection = Connection::open(address).await.unwrap();
            }
            let _ = connection.send(asked).await;
            let line = daemon.wait_log(&format!("request_id={id}")).await;
            assert!(line.contains("ERROR") && line.contains("app"), "{line}");
        }
    }
}
