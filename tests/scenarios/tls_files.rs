//! Certificate files that change: no handshake fails, and a bad file changes nothing.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::task::JoinSet;

use crate::support::prelude::*;
use crate::support::tls::{Authority, Certificate};
use crate::support::tls_client::TlsClient;
use crate::support::wait::until;

const HOST: &str = "one.example";

/// Clients that do nothing but come anew, each with a handshake of its own.
pub(super) struct Handshakes {
    stop: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
    clients: JoinSet<Vec<String>>,
}

impl Handshakes {
    pub(super) fn start(client: &TlsClient, address: SocketAddr, host: &'static str, clients: usize) -> Self {
        let (stop, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
        let mut tasks = JoinSet::new();
        for number in 0..clients {
            let (client, stop, done) = (client.clone(), stop.clone(), done.clone());
            let protocol = ["h2", "http/1.1"][number % 2];
            tasks.spawn(async move {
                let client = client.offering(&[protocol]);
                let mut failures = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    match client.get(address, host, "/version").await {
                        Ok(reply) if reply.text() == "1" => {}
                        other => failures.push(format!("{other:?}")),
                    }
                    done.fetch_add(1, Ordering::Relaxed);
                }
                failures
            });
        }
        Self {
            stop,
            done,
            clients: tasks,
        }
    }

    /// Waits until there have been some more.
    pub(super) async fn go_on(&self) {
        let enough = self.done.load(Ordering::Relaxed) + 20;
        until("handshakes to go on", async || {
            match self.done.load(Ordering::Relaxed) {
                done if done >= enough => Ok(()),
                done => Err(format!("{done} handshakes")),
            }
        })
        .await;
    }

    /// What went wrong.
    pub(super) async fn stop(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.concat()
    }
}

async fn stage(files: impl FnOnce(&Path, &Certificate)) -> (Daemon, Authority, Layout, SocketAddr) {
    let layout = Layout::with(&App::of("probe", "1"));
    let daemon = Daemon::start().await;
    let authority = Authority::new();
    files(daemon.root(), &authority.sign(HOST));
    let file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0", "host": HOST,
        "tls": {"cert": "../live/own.pem", "key": "../live/own.key"}});
    let address = daemon.serve("app", &file).await;
    (daemon, authority, layout, address)
}

/// Waits until clients are met with it.
async fn wait_shown(client: &TlsClient, address: SocketAddr, certificate: &Certificate) {
    until("the new certificate", async || {
        let met = client.open(address, HOST).await?;
        match met.chain.first() == Some(&certificate.der) {
            true => Ok(()),
            false => Err("the old one".to_owned()),
        }
    })
    .await;
}

#[tokio::test]
async fn a_certificate_is_replaced_under_load_without_one_failed_handshake() {
    let (daemon, authority, _layout, address) = stage(|root, first| {
        fs::create_dir(root.join("live")).unwrap();
        first.write(&root.join("live"), "own");
    })
    .await;
    let client = TlsClient::trusting(&authority.certificate());
    let mut kept = client.open(address, HOST).await.unwrap();
    let load = Handshakes::start(&client, address, HOST, 4);
    for _ in 0..3 {
        load.go_on().await;
        let next = authority.sign(HOST);
        next.write(&daemon.root().join("live"), "own");
        wait_shown(&client, address, &next).await;
    }
    load.go_on().await;
    let failures = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}");
    // A connection from before is not touched.
    assert_eq!(kept.connection.get("/version").await.unwrap().text(), "1");
    assert_eq!(daemon.log_lines("are not good"), [""; 0]);
}

#[tokio::test]
async fn a_certificate_is_replaced_by_turning_a_link() {
    let (daemon, authority, _layout, address) = stage(|root, first| {
        fs::create_dir(root.join("1")).unwrap();
        first.write(&root.join("1"), "own");
        symlink("1", root.join("live")).unwrap();
    })
    .await;
    let client = TlsClient::trusting(&authority.certificate());
    let load = Handshakes::start(&client, address, HOST, 2);
    for number in 2..5 {
        load.go_on().await;
        let next = authority.sign(HOST);
        let directory = number.to_string();
        fs::create_dir(daemon.root().join(&directory)).unwrap();
        next.write(&daemon.root().join(&directory), "own");
        symlink(&directory, daemon.root().join("turned")).unwrap();
        fs::rename(daemon.root().join("turned"), daemon.root().join("live")).unwrap();
        wait_shown(&client, address, &next).await;
    }
    let failures = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}");
}

#[tokio::test]
async fn bad_new_files_change_nothing_but_the_status() {
    let (daemon, authority, _layout, address) = stage(|root, first| {
        fs::create_dir(root.join("live")).unwrap();
        first.write(&root.join("live"), "own");
    })
    .await;
    let client = TlsClient::trusting(&authority.certificate());
    let load = Handshakes::start(&client, address, HOST, 2);
    let live = daemon.root().join("live");
    let good = fs::read(live.join("own.pem")).unwrap();
    let other = authority.sign(HOST);
    for (content, reason) in [
        (Some(&b"nothing"[..]), "holds no certificate"),
        (
            Some(other.certificate.as_bytes()),
            "is not that of the certificate",
        ),
        (None, "can't be read"),
    ] {
        match content {
            Some(content) => fs::write(live.join("own.pem"), content).unwrap(),
            None => fs::remove_file(live.join("own.pem")).unwrap(),
        }
        let told = daemon.wait_error("app", reason).await;
        assert_eq!(told.state(), "degraded");
        load.go_on().await;
        fs::write(live.join("own.pem"), &good).unwrap();
        daemon.wait_state("app", "running").await;
        assert_eq!(daemon.log_lines(reason).len(), 1, "told once: {}", daemon.logs());
    }
    let failures = load.stop().await;
    assert!(failures.is_empty(), "{failures:?}");
    let next = authority.sign(HOST);
    next.write(&live, "own");
    wait_shown(&client, address, &next).await;
}

#[tokio::test]
async fn a_certificate_that_has_ended_takes_no_good_ones_place() {
    let (mut daemon, authority, _layout, address) = stage(|root, first| {
        fs::create_dir(root.join("live")).unwrap();
        first.write(&root.join("live"), "own");
    })
    .await;
    let live = daemon.root().join("live");
    authority.sign_ended(HOST).write(&live, "own");
    let told = daemon.wait_error("app", "ended on 2001-01-01").await;
    assert_eq!(told.state(), "degraded");
    let client = TlsClient::trusting(&authority.certificate());
    client.get(address, HOST, "/version").await.unwrap();
    // Where there is no other, it is shown: some clients look at nothing.
    daemon.stop().await;
    daemon.start_again().await;
    let told = daemon.wait_error("app", "ended on 2001-01-01").await;
    let refused = client.open(told.address(), HOST).await.err().unwrap();
    assert!(refused.contains("certificate expired"), "{refused}");
    let next = authority.sign(HOST);
    next.write(&live, "own");
    let running = daemon.wait_state("app", "running").await;
    wait_shown(&client, running.address(), &next).await;
}
