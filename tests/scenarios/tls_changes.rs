//! How clients are met changes, for one app of an address or for several (docs/contract/http-trigger.md §2.6, §8).

use std::net::SocketAddr;

use serde_json::Value;

use super::tls::{file, free_address, stage};
use crate::support::client::Reply;
use crate::support::prelude::*;
use crate::support::tls::Authority;
use crate::support::tls_client::TlsClient;
use crate::support::wait::until;

async fn plain(address: SocketAddr, host: &str) -> Result<Reply, String> {
    Connection::open(address).await?.host(host).get("/version").await
}

/// The file without `tls`.
fn without_tls(mut file: Value) -> Value {
    file.as_object_mut().expect("an object").remove("tls");
    file
}

#[tokio::test]
async fn an_app_that_turns_to_tls_with_a_bad_certificate_serves_on_until_another_speaks_tls_there() {
    let (daemon, authority, layout) = stage().await;
    let address = free_address();
    authority.sign("two.example").write(daemon.root(), "two.example");
    let [one, two] =
        [("v1", "one.example"), ("v2", "two.example")].map(|(tag, host)| file(&layout, tag, address, host));
    daemon.serve("one", &without_tls(one.clone())).await;
    daemon.write_app("one", &one);
    let told = daemon.wait_error("one", "one.example.pem can't be read").await;
    assert_eq!(told.state(), "degraded");
    assert_eq!(plain(address, "one.example").await.unwrap().text(), "1");
    // The address is going to speak TLS: whoever does not is too late.
    daemon.write_app("two", &without_tls(two.clone()));
    let waiting = daemon.wait_state("two", "waiting").await;
    assert!(
        waiting.error().contains("speaks TLS for what is held by app one"),
        "{}",
        waiting.error()
    );
    assert_eq!(plain(address, "one.example").await.unwrap().text(), "1");
    // Whoever does takes it over, and the old version can't be met there any more.
    daemon.write_app("two", &two);
    daemon.wait_state("two", "running").await;
    let client = TlsClient::trusting(&authority.certificate());
    let version = async |host: &str| {
        client
            .get(address, host, "/version")
            .await
            .map(|reply| reply.text().to_owned())
    };
    assert_eq!(version("two.example").await.unwrap(), "2");
    let told = daemon.wait_state("one", "failed").await;
    assert!(
        told.error().contains("one.example.pem can't be read"),
        "{}",
        told.error()
    );
    assert!(plain(address, "one.example").await.is_err());
    // As soon as there is a certificate, both are there.
    authority.sign("one.example").write(daemon.root(), "one.example");
    daemon.wait_state("one", "running").await;
    assert_eq!(version("one.example").await.unwrap(), "1");
    assert_eq!(version("two.example").await.unwrap(), "2");
}

#[tokio::test]
async fn apps_of_one_host_demand_the_same_of_their_clients_or_one_of_them_waits() {
    let (daemon, authority, layout) = stage().await;
    let clients = Authority::new();
    std::fs::write(daemon.root().join("clients.pem"), clients.certificate()).unwrap();
    std::fs::write(daemon.root().join("others.pem"), Authority::new().certificate()).unwrap();
    for host in ["one.example", "two.example"] {
        authority.sign(host).write(daemon.root(), host);
    }
    let address = free_address();
    let app = |tag: &str, host: &str, path: &str, client_ca: Option<&str>| {
        let mut app = file(&layout, tag, address, host);
        (app["path"], app["strip_path"]) = (path.into(), true.into());
        if let Some(client_ca) = client_ca {
            app["tls"]["client_ca"] = client_ca.into();
        }
        app
    };
    let first = |client_ca| app("v1", "one.example", "/a", client_ca);
    let second = |client_ca| app("v2", "one.example", "/b", client_ca);
    daemon.serve("first", &first(Some("../clients.pem"))).await;
    for (client_ca, named) in [(None, "no \"client_ca\""), (Some("../others.pem"), "others.pem")] {
        daemon.write_app("second", &second(client_ca));
        let waiting = daemon.wait_error("second", named).await;
        assert_eq!(waiting.state(), "waiting");
        for told in [
            "one.example",
            "clients.pem",
            "held by app first (",
            "first.json",
            "shares the host if",
        ] {
            assert!(waiting.error().contains(told), "{told}: {}", waiting.error());
        }
    }
    // Another host of the address is another handshake.
    daemon.serve("third", &app("v2", "two.example", "/a", None)).await;
    let anonymous = TlsClient::trusting(&authority.certificate());
    let known = anonymous.clone().showing(&clients.sign("ada"));
    let version = async |client: &TlsClient, host: &str, path: &str| {
        let reply = client.get(address, host, &format!("{path}/version")).await?;
        Ok::<_, String>(reply.text().to_owned())
    };
    assert_eq!(version(&anonymous, "two.example", "/a").await.unwrap(), "2");
    assert_eq!(version(&known, "one.example", "/a").await.unwrap(), "1");

    daemon.serve("second", &second(Some("../clients.pem"))).await;
    for (path, expected) in [("/a", "1"), ("/b", "2")] {
        assert_eq!(version(&known, "one.example", path).await.unwrap(), expected);
        assert!(version(&anonymous, "one.example", path).await.is_err());
    }
    // One after the other lets everybody in: the one that does so first waits for the other, and serves on.
    daemon.write_app("first", &first(None));
    let waiting = daemon.wait_error("first", "held by app second (").await;
    assert_eq!(waiting.state(), "degraded");
    assert_eq!(version(&known, "one.example", "/a").await.unwrap(), "1");
    daemon.write_app("second", &second(None));
    for (id, path, expected) in [("first", "/a", "1"), ("second", "/b", "2")] {
        daemon.wait_state(id, "running").await;
        until("anybody to be let in", async || {
            match version(&anonymous, "one.example", path).await {
                Ok(answer) if answer == expected => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
    }
}

#[tokio::test]
async fn a_certificate_of_the_options_is_for_all_addresses_that_cannot_be_open_beside_its_own() {
    let authority = Authority::new();
    let layout = Layout::with(&App::of("probe", "1"));
    for written in ["[::]", "127.0.0.1", "localhost"] {
        let port = free_address().port();
        let daemon = Daemon::builder()
            .arg("--tls")
            .arg(format!("0.0.0.0:{port}=own.pem,own.key"))
            .start()
            .await;
        authority.sign("one.example").write(daemon.root(), "own");
        let app = json!({"reference": layout.reference("v1"), "address": format!("{written}:{port}")});
        daemon.write_app("app", &app);
        daemon.wait_state("app", "running").await;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let client = TlsClient::trusting(&authority.certificate());
        let reply = client.get(address, "one.example", "/version").await.unwrap();
        assert_eq!(reply.text(), "1", "{written}");
        assert!(plain(address, "one.example").await.is_err(), "{written}");
    }
}
