//! The client behind `wasi:http`: whom it trusts, what it keeps, what it denies.

use crate::support::prelude::*;
use crate::support::relay::Relay;

fn reaching(host: &str) -> App {
    let component = Component::new("probe", guest("probe")).allow(host);
    App::new("probe").component(component).route("/...", "probe")
}

#[tokio::test]
async fn requests_of_one_guest_after_another_share_a_connection() {
    let (_target_daemon, _target_layout, target) = served(&App::of("probe", "1")).await;
    let relay = Relay::to(target).await;
    let host = format!("http://{}", relay.address());
    let (_daemon, _layout, address) = served(&reaching(&host)).await;
    for _ in 0..5 {
        let reply = get(address, &format!("/fetch?url={host}/version")).await.unwrap();
        assert_eq!(reply.text(), "200\n1");
    }
    assert_eq!((relay.targets().len(), relay.connections()), (5, 1));
}

#[tokio::test]
async fn https_goes_to_those_whom_the_system_s_certificates_vouch_for() {
    // Any server with a certificate does; this one answers `/v2/` with `{}`.
    let server = Registry::with_tls().await;
    let host = format!("https://{}", server.host());
    let layout = Layout::with(&reaching(&host));
    let trusting = Daemon::builder()
        .env("SSL_CERT_FILE", server.authority())
        .start()
        .await;
    let wary = Daemon::start().await;
    let path = format!("/fetch?url={host}/v2/");
    let address = trusting.serve("app", &layout.file("v1")).await;
    assert_eq!(get(address, &path).await.unwrap().text(), "200\n{}");
    let address = wary.serve("app", &layout.file("v1")).await;
    let reply = get(address, &path).await.unwrap();
    assert_eq!(reply.status, 502);
    assert!(reply.text().contains("TlsProtocolError"), "{}", reply.text());
}

#[tokio::test]
async fn a_denial_is_logged_once_with_the_line_to_add() {
    let (daemon, _layout, address) = served(&reaching("https://example.org")).await;
    for _ in 0..3 {
        let reply = get(address, "/fetch?url=http://denied.test:81/x").await.unwrap();
        assert!(reply.text().contains("HttpRequestDenied"), "{}", reply.text());
    }
    let told = daemon.wait_log("not allowed was denied").await;
    for part in ["app=app", "component=probe", "http://denied.test:81"] {
        assert!(told.contains(part), "{part} in {told}");
    }
    get(address, "/fetch?url=http://another.test/x").await.unwrap();
    daemon.wait_log("http://another.test").await;
    assert_eq!(daemon.log_lines("denied.test").len(), 1);
}

#[tokio::test]
async fn an_app_that_may_not_call_itself_does_not() {
    let (daemon, _layout, address) = served(&App::of("probe", "1")).await;
    let reply = get(address, "/fetch?url=/version").await.unwrap();
    assert!(reply.text().contains("HttpRequestDenied"), "{}", reply.text());
    daemon.wait_log("http://self").await;
}
