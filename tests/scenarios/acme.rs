//! Certificates by ACME: ordered, kept, renewed, against Pebble.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::tls_files::Handshakes;
use crate::support::client::{empty, request};
use crate::support::pebble::Pebble;
use crate::support::prelude::*;
use crate::support::registry::free_port;
use crate::support::tls_client::TlsClient;
use crate::support::wait::until;

const HOST: &str = "one.example";
/// Certificates that are not renewed during a scenario.
const LONG: Duration = Duration::from_secs(90 * 24 * 3600);
/// Certificates that are: after twenty seconds, and a busy machine has ten more for it.
const SHORT: Duration = Duration::from_secs(30);

/// An authority that looks at these ports, and a daemon that asks it.
struct Stage {
    pebble: Pebble,
    daemon: Daemon,
    layout: Layout,
    secure: SocketAddr,
    plain: SocketAddr,
}

impl Stage {
    async fn new(validity: Duration) -> Self {
        let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let (secure, plain) = (local(free_port()), local(free_port()));
        let pebble = Pebble::start(secure.port(), plain.port(), validity).await;
        let daemon = Daemon::builder()
            .arg("--acme-directory")
            .arg(pebble.directory())
            .arg("--acme-contact")
            .arg("ops@one.example")
            .arg("--acme-ca")
            .arg(pebble.authority_file())
            .start()
            .await;
        Self {
            pebble,
            daemon,
            layout: Layout::with(&App::of("probe", "1")),
            secure,
            plain,
        }
    }

    fn file(&self, host: &str, tls: Value) -> Value {
        json!({"reference": self.layout.reference("v1"), "address": self.secure.to_string(), "host": host, "tls": tls})
    }

    async fn client(&self) -> TlsClient {
        TlsClient::trusting(&self.pebble.root().await)
    }

    /// What the daemon keeps of authorities.
    fn kept(&self, ending: &str) -> PathBuf {
        let mut found = Vec::new();
        files_below(&self.daemon.root().join("data"), &mut found);
        let is_kept = |path: &PathBuf| {
            path.to_string_lossy().contains("/acme/") && path.to_string_lossy().ends_with(ending)
        };
        found
            .into_iter()
            .find(is_kept)
            .unwrap_or_else(|| panic!("nothing is kept that ends with {ending}"))
    }
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten() {
        let path = entry.expect("an entry").path();
        match path.is_dir() {
            true => files_below(&path, found),
            false => found.push(path),
        }
    }
}

#[tokio::test]
async fn a_certificate_is_ordered_once_and_used_again_after_a_restart() {
    let mut stage = Stage::new(LONG).await;
    let address = stage
        .daemon
        .serve("app", &stage.file(HOST, json!({"acme": true})))
        .await;
    let client = stage.client().await;
    let met = client.open(address, HOST).await.unwrap();
    assert_eq!(client.get(address, HOST, "/version").await.unwrap().text(), "1");
    for kept in [format!("{HOST}.pem"), ".json".to_owned()] {
        let mode = fs::metadata(stage.kept(&kept)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{kept}");
    }
    assert_eq!(stage.pebble.orders(), 1);

    stage.daemon.crash().await;
    stage.daemon.start_again().await;
    let address = stage.daemon.address("app").await;
    let again = client.open(address, HOST).await.unwrap();
    assert_eq!(again.chain, met.chain);
    assert_eq!(stage.pebble.orders(), 1, "{}", stage.pebble.log());
}

#[tokio::test]
async fn each_host_has_a_certificate_and_an_edit_orders_nothing() {
    let stage = Stage::new(LONG).await;
    let mut file = stage.file(HOST, json!({"acme": true}));
    file["host"] = json!(["one.example", "two.example"]);
    let address = stage.daemon.serve("app", &file).await;
    let client = stage.client().await;
    for host in ["one.example", "two.example"] {
        assert_eq!(client.get(address, host, "/version").await.unwrap().text(), "1");
    }
    file["environment"] = json!({"VERSION": "2"});
    stage.daemon.write_app("app", &file);
    until("the edit to be served", async || {
        let reply = client.get(address, HOST, "/version").await?;
        match reply.text() {
            "2" => Ok(()),
            other => Err(other.to_owned()),
        }
    })
    .await;
    assert_eq!(stage.pebble.orders(), 2);
}

#[tokio::test]
async fn an_authority_may_be_answered_over_plain_http() {
    let stage = Stage::new(LONG).await;
    let tls = json!({"acme": {"challenge": "http-01"}, "redirect_from": stage.plain.to_string()});
    let address = stage.daemon.serve("app", &stage.file(HOST, tls)).await;
    let client = stage.client().await;
    assert_eq!(client.get(address, HOST, "/version").await.unwrap().text(), "1");
    // All else that comes there is sent on.
    let mut asked = request(http::Method::GET, "/.well-known/acme-challenge/unknown", empty());
    asked.headers_mut().insert("host", HOST.parse().unwrap());
    let reply = Connection::open(stage.plain)
        .await
        .unwrap()
        .send(asked)
        .await
        .unwrap();
    assert_eq!(reply.status, 308);
}

#[tokio::test]
async fn a_certificate_is_renewed_under_load_without_one_failed_handshake() {
    let stage = Stage::new(SHORT).await;
    let address = stage
        .daemon
        .serve("app", &stage.file(HOST, json!({"acme": true})))
        .await;
    let client = stage.client().await;
    let load = Handshakes::start(&client, address, HOST, 3);
    let mut before = client.open(address, HOST).await.unwrap();
    for _ in 0..2 {
        let renewed = until("another certificate", async || {
            let met = client.open(address, HOST).await?;
            match met.chain != before.chain {
                true => Ok(met),
                false => Err("the same".to_owned()),
            }
        })
        .await;
        before = renewed;
        load.go_on().await;
    }
    let failures = load.stop().await;
    // They may be thousands.
    assert!(
        failures.is_empty(),
        "{:?}\n{}",
        failures.first(),
        stage.daemon.logs()
    );
    assert!(stage.pebble.orders() >= 3);
}

#[tokio::test]
async fn a_name_that_gets_no_certificate_troubles_no_other() {
    let stage = Stage::new(LONG).await;
    let good = stage.file(HOST, json!({"acme": true}));
    let address = stage.daemon.serve("good", &good).await;
    // The authority looks at a port where nobody answers.
    let elsewhere = format!("127.0.0.1:{}", free_port());
    let lost = json!({"acme": {"challenge": "http-01"}, "redirect_from": elsewhere});
    stage.daemon.write_app("bad", &stage.file("two.example", lost));
    let told = stage
        .daemon
        .wait_error("bad", "could not see that the name is ours")
        .await;
    assert_eq!(told.state(), "degraded");
    assert!(told.error().contains("refused"), "{}", told.error());
    let client = stage.client().await;
    for _ in 0..2 {
        assert!(client.open(address, "two.example").await.is_err());
    }
    let lines = stage
        .daemon
        .log_lines("clients are refused: there is no certificate yet");
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!(client.get(address, HOST, "/version").await.unwrap().text(), "1");
    assert_eq!(stage.daemon.wait_state("good", "running").await.error(), "");
    // Another way is tried at once.
    let found = stage.file("two.example", json!({"acme": true}));
    stage.daemon.write_app("bad", &found);
    stage.daemon.wait_state("bad", "running").await;
    assert_eq!(
        client
            .get(address, "two.example", "/version")
            .await
            .unwrap()
            .text(),
        "1"
    );
}

#[tokio::test]
async fn what_can_not_be_ordered_is_refused_with_the_reason() {
    let stage = Stage::new(LONG).await;
    for (host, reason) in [
        (json!("*.one.example"), "wildcard"),
        (json!("127.0.0.1"), "IP address"),
        (json!(null), "\"host\""),
    ] {
        let mut file = stage.file(HOST, json!({"acme": true}));
        match host {
            Value::Null => drop(file.as_object_mut().unwrap().remove("host")),
            host => file["host"] = host,
        }
        stage.daemon.write_app("app", &file);
        stage.daemon.wait_error("app", reason).await;
    }
    assert_eq!(stage.pebble.orders(), 0);
}
