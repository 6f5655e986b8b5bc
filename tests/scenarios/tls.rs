//! TLS: certificates, names, versions, protocols, clients' certificates, the way from http.

use std::net::SocketAddr;

use futures::future::join_all;
use rustls::ProtocolVersion;
use rustls::version::{TLS12, TLS13};
use serde_json::Value;
use tokio::io::AsyncWriteExt;

use crate::support::balancer::{Stream, connect_from, connect_unix, v1, v2};
use crate::support::client::{empty, request};
use crate::support::prelude::*;
use crate::support::raw::Raw;
use crate::support::registry::free_port;
use crate::support::tls::Authority;
use crate::support::tls_client::TlsClient;

/// More than a machine has cores, and than anybody would wait for one after the other.
const SLOW_CLIENTS: usize = 300;
/// Where the balancer is; everybody else is at another address.
const BALANCER: &str = "127.0.0.2";

pub(super) fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], free_port()))
}

/// The app file of `host` at an address, met with the certificate that is in the daemon's directory under that name.
pub(super) fn file(layout: &Layout, tag: &str, address: SocketAddr, host: &str) -> Value {
    let (certificate, key) = (format!("../{host}.pem"), format!("../{host}.key"));
    json!({"reference": layout.reference(tag), "address": address.to_string(), "host": host,
        "tls": {"cert": certificate, "key": key}})
}

/// A daemon, an authority, and probe apps that answer with `1` and `2`.
pub(super) async fn stage() -> (Daemon, Authority, Layout) {
    let mut layout = Layout::with(&App::of("probe", "1"));
    layout.add("v2", &App::of("probe", "2"));
    (Daemon::start().await, Authority::new(), layout)
}

#[tokio::test]
async fn each_app_of_an_address_is_met_with_its_own_certificate_and_chain() {
    let (daemon, authority, layout) = stage().await;
    let intermediate = authority.authorise();
    let address = free_address();
    for (host, tag) in [("one.example", "v1"), ("two.example", "v2")] {
        let mut signed = intermediate.sign(host);
        signed.certificate += &intermediate.certificate();
        signed.write(daemon.root(), host);
        daemon.serve(tag, &file(&layout, tag, address, host)).await;
    }
    let client = TlsClient::trusting(&authority.certificate());
    for (host, version) in [("one.example", "1"), ("two.example", "2"), ("ONE.example", "1")] {
        let mut met = client.open(address, host).await.unwrap();
        assert_eq!(met.chain.len(), 2, "the authority between is shown too");
        let reply = met.connection.get("/version").await.unwrap();
        assert_eq!(reply.text(), version, "{host}");
    }
    let refused = client.open(address, "three.example").await.err().unwrap();
    assert!(refused.contains("UnrecognisedName"), "{refused}");
    // One that knows nothing of TLS is told nothing, and spoils nothing.
    assert!(get(address, "/version").await.is_err());
    let reply = client.get(address, "one.example", "/version").await.unwrap();
    assert_eq!(reply.text(), "1");
}

#[tokio::test]
async fn both_versions_of_tls_and_of_http_are_spoken() {
    let (daemon, authority, layout) = stage().await;
    authority.sign("one.example").write(daemon.root(), "one.example");
    let address = daemon
        .serve("app", &file(&layout, "v1", free_address(), "one.example"))
        .await;
    let client = TlsClient::trusting(&authority.certificate());
    for (only, version) in [
        (&TLS12, ProtocolVersion::TLSv1_2),
        (&TLS13, ProtocolVersion::TLSv1_3),
    ] {
        for (offered, protocol) in [
            (&["h2", "http/1.1"][..], Some("h2")),
            (&["http/1.1", "h2"], Some("h2")),
            (&["http/1.1"], Some("http/1.1")),
            (&[], None),
        ] {
            let client = client.clone().only(only).offering(offered).resuming();
            let mut met = client.open(address, "one.example").await.unwrap();
            assert_eq!((met.version, met.protocol.as_deref()), (version, protocol));
            let reply = met.connection.get("/headers?x=y").await.unwrap();
            assert_eq!(
                reply.line("header spin-full-url"),
                Some(&*format!("https://one.example:{}/headers?x=y", address.port())),
                "{}",
                reply.text()
            );
            drop(met);
            let again = client.open(address, "one.example").await.unwrap();
            assert!(again.resumed, "a session is resumed with {version:?}");
        }
        let client = client.clone().only(only).offering(&["smtp"]);
        let refused = client.open(address, "one.example").await.err().unwrap();
        assert!(refused.contains("NoApplicationProtocol"), "{refused}");
    }
}

#[tokio::test]
async fn an_address_of_the_options_is_met_with_its_certificate_by_apps_that_have_none() {
    let authority = Authority::new();
    let mut layout = Layout::with(&App::of("probe", "1"));
    layout.add("v2", &App::of("probe", "2"));
    let address = free_address();
    let daemon = Daemon::builder()
        .arg("--tls")
        .arg(format!("{address}=wide.pem,wide.key"))
        .start()
        .await;
    authority.sign("*.apps.example").write(daemon.root(), "wide");
    authority
        .sign("two.apps.example")
        .write(daemon.root(), "two.apps.example");
    let wide = json!({"reference": layout.reference("v1"), "address": address.to_string(), "host": "one.apps.example"});
    daemon.serve("wide", &wide).await;
    daemon
        .serve("own", &file(&layout, "v2", address, "two.apps.example"))
        .await;
    let client = TlsClient::trusting(&authority.certificate());
    let one = client.open(address, "one.apps.example").await.unwrap();
    let mut two = client.open(address, "two.apps.example").await.unwrap();
    assert_ne!(one.chain, two.chain);
    assert_eq!(two.connection.get("/version").await.unwrap().text(), "2");
    // The certificate is for any name, and no app is.
    let reply = client
        .get(address, "three.apps.example", "/version")
        .await
        .unwrap();
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn a_host_that_demands_a_certificate_is_reached_with_one_of_its_authority_alone() {
    let (daemon, authority, layout) = stage().await;
    let (clients, strangers) = (Authority::new(), Authority::new());
    std::fs::write(daemon.root().join("clients.pem"), clients.certificate()).unwrap();
    let address = free_address();
    for host in ["open.example", "closed.example"] {
        authority.sign(host).write(daemon.root(), host);
    }
    daemon
        .serve("open", &file(&layout, "v1", address, "open.example"))
        .await;
    let mut closed = file(&layout, "v2", address, "closed.example");
    closed["tls"]["client_ca"] = "../clients.pem".into();
    daemon.serve("closed", &closed).await;
    for version in [&TLS12, &TLS13] {
        let anonymous = TlsClient::trusting(&authority.certificate()).only(version);
        let known = anonymous.clone().showing(&clients.sign("ada"));
        let stranger = anonymous.clone().showing(&strangers.sign("eve"));
        for (client, served) in [(&anonymous, false), (&known, true), (&stranger, false)] {
            let reply = client.get(address, "closed.example", "/version").await;
            assert_eq!(
                reply.as_ref().is_ok_and(|reply| reply.text() == "2"),
                served,
                "{reply:?}"
            );
            let reply = client.get(address, "open.example", "/version").await.unwrap();
            assert_eq!(reply.text(), "1");
        }
        // Whoever came as the open host's client has shown nothing to the closed one.
        let for_host = |host: &str| {
            let mut request = request(http::Method::GET, "/version", empty());
            request.headers_mut().insert("host", host.parse().unwrap());
            request
        };
        let mut met = known.open(address, "open.example").await.unwrap();
        let reply = met.connection.send(for_host("closed.example")).await.unwrap();
        assert_eq!(reply.status, 421);
        let mut met = known.open(address, "closed.example").await.unwrap();
        let reply = met.connection.send(for_host("open.example")).await.unwrap();
        assert_eq!(reply.text(), "1");
    }
}

#[tokio::test]
async fn plain_http_is_sent_on_to_https() {
    let (daemon, authority, layout) = stage().await;
    let (secure, plain) = (free_address(), free_address());
    authority.sign("one.example").write(daemon.root(), "one.example");
    let mut one = file(&layout, "v1", secure, "one.example");
    one["tls"]["redirect_from"] = plain.to_string().into();
    daemon.serve("one", &one).await;
    // The address that sends on is shared as any other.
    let two =
        json!({"reference": layout.reference("v2"), "address": plain.to_string(), "host": "two.example"});
    daemon.serve("two", &two).await;
    let ask = async |method: http::Method, host: &str, target: &str| {
        let mut request = request(method, target, empty());
        request.headers_mut().insert("host", host.parse().unwrap());
        Connection::open(plain)
            .await
            .unwrap()
            .send(request)
            .await
            .unwrap()
    };
    for method in [http::Method::GET, http::Method::POST] {
        let reply = ask(method, &format!("one.example:{}", plain.port()), "/a%20b?c=d&e").await;
        assert_eq!(reply.status, 308);
        let location = format!("https://one.example:{}/a%20b?c=d&e", secure.port());
        assert_eq!(reply.header("location"), Some(&*location));
    }
    assert_eq!(
        ask(http::Method::GET, "two.example", "/version").await.text(),
        "2"
    );
    assert_eq!(
        ask(http::Method::GET, "three.example", "/version").await.status,
        404
    );
    // It goes with the app, and comes back with it.
    daemon.remove_app("one");
    daemon.wait_gone("one").await;
    assert_eq!(ask(http::Method::GET, "one.example", "/").await.status, 404);
    assert_eq!(
        ask(http::Method::GET, "two.example", "/version").await.text(),
        "2"
    );
    daemon.serve("one", &one).await;
    assert_eq!(ask(http::Method::GET, "one.example", "/").await.status, 308);
    one["tls"].as_object_mut().unwrap().remove("redirect_from");
    daemon.write_app("one", &one);
    crate::support::wait::until("nothing to be sent on", async || {
        match ask(http::Method::GET, "one.example", "/").await.status {
            http::StatusCode::NOT_FOUND => Ok(()),
            other => Err(other.to_string()),
        }
    })
    .await;
}

#[tokio::test]
async fn clients_that_begin_a_handshake_and_wait_keep_nobody_waiting() {
    let (daemon, authority, layout) = stage().await;
    authority.sign("one.example").write(daemon.root(), "one.example");
    let address = daemon
        .serve("app", &file(&layout, "v1", free_address(), "one.example"))
        .await;
    let silent = async || {
        let mut client = Raw::open(address).await;
        // The first bytes of a handshake, and no more.
        client.write("\u{16}\u{3}\u{1}\u{2}").await;
        client
    };
    let mut slow = join_all((0..SLOW_CLIENTS).map(|_| silent())).await;
    let client = TlsClient::trusting(&authority.certificate());
    let asked = (0..20).map(|_| client.get(address, "one.example", "/version"));
    for reply in join_all(asked).await {
        assert_eq!(reply.unwrap().text(), "1");
    }
    // They are let go.
    join_all(slow.iter_mut().map(Raw::read_all)).await;
    assert_eq!(
        client
            .get(address, "one.example", "/version")
            .await
            .unwrap()
            .text(),
        "1"
    );
}

#[tokio::test]
async fn a_bad_certificate_is_the_affair_of_its_app_alone() {
    let (daemon, authority, layout) = stage().await;
    let address = free_address();
    authority.sign("one.example").write(daemon.root(), "one.example");
    daemon
        .serve("good", &file(&layout, "v1", address, "one.example"))
        .await;
    let bad = file(&layout, "v2", address, "two.example");
    daemon.write_app("bad", &bad);
    let failed = daemon.wait_error("bad", "two.example.pem can't be read").await;
    assert_eq!(failed.state(), "failed");
    let (first, second) = (authority.sign("two.example"), authority.sign("two.example"));
    first.write(daemon.root(), "two.example");
    second.write(daemon.root(), "other");
    let mut mixed = bad.clone();
    mixed["tls"]["key"] = "../other.key".into();
    daemon.write_app("bad", &mixed);
    daemon.wait_error("bad", "is not that of the certificate").await;
    std::fs::write(daemon.root().join("two.example.pem"), "no certificate").unwrap();
    daemon.write_app("bad", &bad);
    daemon.wait_error("bad", "holds no certificate").await;
    let client = TlsClient::trusting(&authority.certificate());
    assert_eq!(
        client
            .get(address, "one.example", "/version")
            .await
            .unwrap()
            .text(),
        "1"
    );
    assert!(client.open(address, "two.example").await.is_err());
    // It is tried again by itself.
    first.write(daemon.root(), "two.example");
    daemon.wait_state("bad", "running").await;
    assert_eq!(
        client
            .get(address, "two.example", "/version")
            .await
            .unwrap()
            .text(),
        "2"
    );
}

#[tokio::test]
async fn one_address_speaks_tls_or_does_not() {
    let (daemon, authority, layout) = stage().await;
    let address = free_address();
    authority.sign("one.example").write(daemon.root(), "one.example");
    authority.sign("two.example").write(daemon.root(), "two.example");
    let secure = |tag: &str, host: &str| file(&layout, tag, address, host);
    let plain = |tag: &str, host: &str| {
        let mut file = secure(tag, host);
        file.as_object_mut().unwrap().remove("tls");
        file
    };
    daemon.serve("one", &secure("v1", "one.example")).await;
    daemon.write_app("two", &plain("v2", "two.example"));
    let waiting = daemon.wait_state("two", "waiting").await;
    assert!(waiting.error().contains("TLS"), "{}", waiting.error());
    // Both change their minds, one after the other.
    daemon.write_app("one", &plain("v1", "one.example"));
    daemon.wait_state("one", "running").await;
    daemon.wait_state("two", "running").await;
    let ask = async |host: &str| {
        let mut request = request(http::Method::GET, "/version", empty());
        request.headers_mut().insert("host", host.parse().unwrap());
        let reply = Connection::open(address).await?.send(request).await?;
        Ok::<_, String>(reply.text().to_owned())
    };
    for (host, version) in [("one.example", "1"), ("two.example", "2")] {
        crate::support::wait::until("plain http", async || match ask(host).await {
            Ok(answer) if answer == version => Ok(()),
            other => Err(format!("{other:?}")),
        })
        .await;
    }
}

#[tokio::test]
async fn clients_of_a_balancer_are_met_by_tls_over_every_kind_of_socket_and_in_both_versions_of_http() {
    let layout = Layout::with(&App::of("probe", "1"));
    let options = ["--proxy-protocol", BALANCER, "--proxy-protocol", "unix"];
    let builder = options
        .iter()
        .fold(Daemon::builder(), |builder, option| builder.arg(option));
    let (daemon, authority) = (builder.start().await, Authority::new());
    authority.sign("one.example").write(daemon.root(), "one.example");
    let tcp = file(&layout, "v1", free_address(), "one.example");
    let address = daemon.serve("tcp", &tcp).await;
    let (mut unix, socket) = (tcp, daemon.root().join("run/app.sock"));
    unix["address"] = format!("unix:{}", socket.display()).into();
    daemon.write_app("unix", &unix);
    daemon.wait_state("unix", "running").await;

    let client = TlsClient::trusting(&authority.certificate());
    for (protocol, header) in [
        ("http/1.1", v1("192.0.2.7:1111")),
        ("http/1.1", v2("192.0.2.7:1111")),
        ("h2", v1("192.0.2.7:1111")),
        ("h2", v2("192.0.2.7:1111")),
    ] {
        let client = client.clone().offering(&[protocol]);
        let tcp = Stream::Left(connect_from(BALANCER, address).await);
        for mut stream in [tcp, Stream::Right(connect_unix(&socket).await)] {
            stream.write_all(&header).await.unwrap();
            let met = client
                .open_over(stream, "one.example", "one.example".into())
                .await;
            let reply = met.unwrap().connection.get("/echo").await.unwrap();
            assert_eq!(
                reply.line("header spin-client-addr"),
                Some("192.0.2.7:1111"),
                "{protocol}"
            );
            assert_eq!(
                reply.line("header spin-full-url"),
                Some("https://one.example/echo"),
                "{protocol}"
            );
        }
    }
    // Whoever comes without a balancer is met as ever, and who should not, is not.
    assert_eq!(
        client
            .get(address, "one.example", "/version")
            .await
            .unwrap()
            .text(),
        "1"
    );
    let silent = Stream::Right(connect_unix(&socket).await);
    assert!(
        client
            .open_over(silent, "one.example", "one.example".into())
            .await
            .is_err()
    );
}
