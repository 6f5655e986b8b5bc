//! The operator's settings for outbound HTTP (docs/contract/runtime-config.md §7).

use std::path::Path;

use serde_json::Value;

use crate::support::peer::Peer;
use crate::support::prelude::*;
use crate::support::tls::Authority;
use crate::support::wait::until;

fn app() -> App {
    let component = Component::new("probe", guest("probe")).allow("*://*:*");
    App::new("probe").component(component).route("/...", "probe")
}

/// Serves the app with a runtime configuration of its own.
async fn serve(daemon: &Daemon, layout: &Layout, id: &str, config: Value) -> std::net::SocketAddr {
    let mut file = layout.file("v1");
    file["runtime_config"] = config;
    daemon.serve(id, &file).await
}

fn write(directory: &Path, name: &str, content: &str) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_private_authority_and_a_client_certificate_are_for_the_component_and_host_they_are_set_for() {
    let authority = Authority::new();
    let peer = Peer::tls(&authority).await;
    let daemon = Daemon::start().await;
    let layout = Layout::with(&app());
    let files = tempfile::tempdir().unwrap();
    let client = authority.sign("a guest");
    let roots = write(files.path(), "roots.pem", &authority.certificate());
    let certificate = write(files.path(), "client.pem", &client.certificate);
    let key = write(files.path(), "client.key", &client.key.serialize_pem());
    let path = format!("/fetch?url=https://{}/", peer.address());

    let trusting = json!({"component_ids": ["probe"], "hosts": ["127.0.0.1"], "ca_roots_file": roots});
    let address = serve(&daemon, &layout, "trusting", json!({"client_tls": [trusting]})).await;
    assert_eq!(get(address, &path).await.unwrap().text(), "200\nHTTP/2.0 unknown");

    let known = json!({
        "component_ids": ["other", "probe"], "hosts": ["localhost", "127.0.0.1"], "ca_roots_file": roots,
        "client_cert_file": certificate, "client_private_key_file": key,
    });
    let address = serve(&daemon, &layout, "known", json!({"client_tls": [known]})).await;
    assert_eq!(get(address, &path).await.unwrap().text(), "200\nHTTP/2.0 known");

    for (id, component, host) in [
        ("host", "probe", "example.org"),
        ("component", "other", "127.0.0.1"),
    ] {
        let other = json!({"component_ids": [component], "hosts": [host], "ca_roots_file": roots});
        let address = serve(&daemon, &layout, id, json!({"client_tls": [other]})).await;
        let reply = get(address, &path).await.unwrap();
        assert!(
            reply.text().contains("TlsProtocolError"),
            "{id}: {}",
            reply.text()
        );
    }

    let missing = json!({"component_ids": ["probe"], "hosts": ["h"], "ca_roots_file": "/nowhere/roots.pem"});
    let mut file = layout.file("v1");
    file["runtime_config"] = json!({"client_tls": [missing]});
    daemon.write_app("missing", &file);
    daemon.wait_error("missing", "/nowhere/roots.pem").await;
}

#[tokio::test]
async fn blocked_networks_are_not_reached_by_name_or_by_address() {
    let peer = Peer::plain().await;
    let daemon = Daemon::start().await;
    let layout = Layout::with(&app());
    let config = json!({"outbound_networking": {"block_networks": ["127.0.0.0/8", "::1/128"]}});
    let address = serve(&daemon, &layout, "blocked", config).await;
    for host in ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]"] {
        let path = format!("/fetch?url=http://{host}:{}/", peer.address().port());
        let reply = get(address, &path).await.unwrap();
        assert!(
            reply.text().contains("DestinationIpProhibited"),
            "{host}: {}",
            reply.text()
        );
    }
    assert_eq!(peer.connections(), 0);
    // Others are not touched by it.
    let address = daemon.serve("open", &layout.file("v1")).await;
    let reply = get(address, &format!("/fetch?url=http://{}/", peer.address()))
        .await
        .unwrap();
    assert_eq!(reply.text(), "200\nHTTP/1.1 unknown");
}

#[tokio::test]
async fn connections_are_limited_and_waited_for_as_long_as_connecting_may_take() {
    let peer = Peer::plain().await;
    let other = Peer::plain().await;
    let daemon = Daemon::start().await;
    let layout = Layout::with(&app());
    let config = json!({"outbound_http": {"connection_pooling": false, "max_connections": 1}});
    let address = serve(&daemon, &layout, "limited", config).await;
    let held = tokio::spawn({
        let path = format!("/fetch?url=http://{}/held", peer.address());
        async move { get(address, &path).await.unwrap().text().to_owned() }
    });
    until("the first to be connected", async || match peer.connections() {
        1 => Ok(()),
        n => Err(format!("{n} connections")),
    })
    .await;
    let elsewhere = format!("/fetch?url=http://{}/", other.address());
    let reply = get(address, &format!("{elsewhere}&connect-ms=50")).await.unwrap();
    assert!(reply.text().contains("ConnectionTimeout"), "{}", reply.text());
    peer.release(1);
    assert_eq!(held.await.unwrap(), "200\nHTTP/1.1 unknown");
    assert_eq!(
        get(address, &elsewhere).await.unwrap().text(),
        "200\nHTTP/1.1 unknown"
    );

    let none = json!({"outbound_http": {"connection_pooling": true, "max_connections": 0}});
    let address = serve(&daemon, &layout, "none", none).await;
    let reply = get(address, &elsewhere).await.unwrap();
    assert!(
        reply.text().contains("ConnectionLimitReached"),
        "{}",
        reply.text()
    );
}

#[tokio::test]
async fn connections_are_kept_or_not() {
    let daemon = Daemon::start().await;
    let layout = Layout::with(&app());
    for (id, config, connections) in [
        ("default", json!({}), 1),
        ("kept", json!({"outbound_http": {"connection_pooling": true}}), 1),
        ("unnamed", json!({"outbound_http": {}}), 3),
    ] {
        let peer = Peer::plain().await;
        let address = serve(&daemon, &layout, id, config).await;
        let path = format!("/fetch?url=http://{}/", peer.address());
        for _ in 0..3 {
            assert_eq!(get(address, &path).await.unwrap().status, 200);
        }
        assert_eq!(peer.connections(), connections, "{id}");
    }
}

#[tokio::test]
async fn errors_are_those_that_spin_s_guests_know() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = silent.local_addr().map(|address| (address, silent)).unwrap();
    let (_daemon, _layout, address) = served(&app()).await;
    for (url, error) in [
        (
            "http://nowhere.invalid/".into(),
            "DnsErrorPayload { rcode: Some(\"address not available\"), info-code: Some(0) }",
        ),
        ("http://127.0.0.1:1/".into(), "ConnectionRefused"),
        ("https://not_a-name-.:1/".into(), "Some(\"invalid dns name\")"),
        ("ftp://127.0.0.1/".into(), "HttpProtocolError"),
        (
            format!("http://{}/&first-byte-ms=50", silent.0),
            "ConnectionReadTimeout",
        ),
        (
            format!("https://{}/&connect-ms=50", silent.0),
            "ConnectionTimeout",
        ),
    ] {
        let reply = get(address, &format!("/fetch?url={url}")).await.unwrap();
        assert!(reply.text().contains(error), "{url}: {}", reply.text());
    }
}

#[tokio::test]
async fn one_authority_is_spoken_to_in_http_2_without_tls() {
    let (known, other) = (Peer::plain().await, Peer::plain().await);
    let daemon = Daemon::builder()
        .env("SPIN_OUTBOUND_H2C_PRIOR_KNOWLEDGE", known.address().to_string())
        .start()
        .await;
    let layout = Layout::with(&app());
    let address = daemon.serve("app", &layout.file("v1")).await;
    for (peer, version) in [(&known, "HTTP/2.0"), (&other, "HTTP/1.1")] {
        let reply = get(address, &format!("/fetch?url=http://{}/", peer.address()))
            .await
            .unwrap();
        assert_eq!(reply.text(), format!("200\n{version} unknown"));
    }
}
