//! Raw sockets (docs/contract/host-interfaces.md §7.1): TCP, UDP and names, for guests of 0.2 and of 0.3.

use serde_json::Value;

use crate::support::peer::Echo;
use crate::support::prelude::*;

/// `guest` with these entries of `allowed_outbound_hosts`.
fn app(name: &str, entries: &[String]) -> App {
    let component = entries
        .iter()
        .fold(Component::new(name, guest(name)), |component, entry| {
            component.allow(entry)
        });
    App::new(name).component(component).route("/...", name)
}

/// Both generations.
const GUESTS: [&str; 2] = ["probe", "probe3"];

/// What the guest answers: its text, or the code of its error, as both generations write it.
async fn ask(address: std::net::SocketAddr, path: &str) -> String {
    let reply = get(address, path).await.unwrap();
    let text = reply.text();
    // 0.3 prints the name of the variant, `ErrorCode::AccessDenied` or `access-denied` by the generator's version.
    let code = text.rsplit("::").next().unwrap_or_default();
    match reply.status.as_u16() {
        200 => text.to_owned(),
        _ => format!("error {}", kebab(code)),
    }
}

fn kebab(name: &str) -> String {
    let mut text = String::new();
    for character in name.chars() {
        if character.is_ascii_uppercase() && !text.is_empty() && !text.ends_with(['-', '(', ' ']) {
            text.push('-');
        }
        text.extend(character.to_lowercase());
    }
    text
}

#[tokio::test]
async fn sockets_reach_what_the_app_may_reach_by_them() {
    let echo = Echo::start().await;
    let (tcp, udp) = (echo.tcp, echo.udp);
    for name in GUESTS {
        let entries = [
            format!("tcp://{tcp}"),
            format!("udp://{udp}"),
            "udp://0.0.0.0:0".into(),
        ];
        let (daemon, _layout, address) = served(&app(name, &entries)).await;
        for (path, expected) in [
            (format!("/tcp?address={tcp}&text=over+tcp"), "over+tcp"),
            (
                format!("/udp?address={udp}&text=datagram&bind=0.0.0.0:0"),
                "datagram",
            ),
            (format!("/tcp?address={udp}&text=x"), "error access-denied"),
            (
                format!("/udp?address={tcp}&text=x&bind=0.0.0.0:0"),
                "error access-denied",
            ),
            ("/tcp?address=127.0.0.1:1&text=x".into(), "error access-denied"),
        ] {
            assert_eq!(ask(address, &path).await, expected, "{name} {path}");
        }
        daemon.wait_log("tcp://127.0.0.1:1").await;
    }
}

#[tokio::test]
async fn what_is_allowed_may_still_not_be_there() {
    for name in GUESTS {
        let (_daemon, _layout, address) = served(&app(name, &["tcp://127.0.0.0/8:1..9".into()])).await;
        let refused = ask(address, "/tcp?address=127.0.0.1:1&text=x").await;
        assert_eq!(refused, "error connection-refused", "{name}");
    }
}

#[tokio::test]
async fn nothing_listens_and_binding_needs_an_entry_of_its_own() {
    let echo = Echo::start().await;
    let (tcp, udp) = (echo.tcp, echo.udp);
    for name in GUESTS {
        let entries = [format!("tcp://{tcp}"), format!("udp://{udp}")];
        let (_daemon, _layout, address) = served(&app(name, &entries)).await;
        for path in [
            "/listen?address=127.0.0.1:0".into(),
            "/listen?address=0.0.0.0:0".into(),
            format!("/tcp?address={tcp}&text=x&bind=127.0.0.1:0"),
            format!("/tcp?address={tcp}&text=x&bind=0.0.0.0:0"),
            format!("/udp?address={udp}&text=x&bind=0.0.0.0:0"),
            format!("/udp?address={udp}&text=x&bind=127.0.0.1:0"),
        ] {
            assert_eq!(ask(address, &path).await, "error access-denied", "{name} {path}");
        }
    }
    // 0.3 lets the system choose an address, which is no wish of the guest's.
    let (_daemon, _layout, address) = served(&app("probe3", &[format!("udp://{udp}")])).await;
    assert_eq!(
        ask(address, &format!("/udp?address={udp}&text=unbound")).await,
        "unbound"
    );
    // 0.2 has a socket bound before it listens.
    let (_daemon, _layout, address) = served(&app("probe", &["*://*:*".into()])).await;
    assert_eq!(
        ask(address, "/listen-anywhere?address=0.0.0.0:0").await,
        "error invalid-state"
    );
}

#[tokio::test]
async fn names_that_an_entry_spells_out_are_looked_up_and_reached() {
    let echo = Echo::start().await;
    let port = echo.tcp.port();
    for name in GUESTS {
        let (_daemon, _layout, address) = served(&app(name, &[format!("tcp://localhost:{port}")])).await;
        let connect = format!("/tcp?address=127.0.0.1:{port}&text=by+name");
        assert_eq!(ask(address, &connect).await, "error access-denied", "{name}");
        let found = ask(address, "/lookup?name=localhost").await;
        assert!(
            found.split(' ').any(|found| found == "127.0.0.1"),
            "{name}: {found}"
        );
        assert_eq!(ask(address, &connect).await, "by+name", "{name}");
        let other = ask(address, "/lookup?name=example.org").await;
        assert_eq!(other, "error permanent-resolver-failure", "{name}");
        // An entry for everything spells nothing out: as in Spin, nothing is looked up.
        let (_daemon, _layout, address) = served(&app(name, &["*://*:*".into()])).await;
        let found = ask(address, "/lookup?name=localhost").await;
        assert_eq!(found, "error permanent-resolver-failure", "{name}");
    }
}

/// The app with a runtime configuration of its own.
fn configured(layout: &Layout, config: Value) -> Value {
    let mut file = layout.file("v1");
    file["runtime_config"] = config;
    file
}

#[tokio::test]
async fn the_operator_limits_sockets_and_blocks_networks() {
    let echo = Echo::start().await;
    let tcp = echo.tcp;
    let daemon = Daemon::start().await;
    for (name, limit) in [
        ("probe", "2 then new-socket-limit"),
        ("probe3", "2 then ErrorCode::Other(Some(\"new-socket-limit\"))"),
    ] {
        let layout = Layout::with(&app(name, &["*://*:*".into()]));
        let limited = configured(
            &layout,
            json!({"outbound_networking": {"max_socket_connections": 2}}),
        );
        let address = daemon.serve(&format!("{name}-limited"), &limited).await;
        // Twice: what the first request held is given back.
        for _ in 0..2 {
            let many = get(address, &format!("/tcp-many?address={tcp}&n=3"))
                .await
                .unwrap();
            assert_eq!(many.text(), limit, "{name}");
        }
        assert_eq!(
            get(address, "/udp-many?n=3").await.unwrap().text(),
            limit,
            "{name}"
        );
        assert_eq!(get(address, "/udp-many?n=2").await.unwrap().text(), "2", "{name}");

        let blocked = configured(
            &layout,
            json!({"outbound_networking": {"block_networks": ["private"]}}),
        );
        let address = daemon.serve(&format!("{name}-blocked"), &blocked).await;
        let denied = ask(address, &format!("/tcp?address={tcp}&text=x")).await;
        assert_eq!(denied, "error access-denied", "{name}");
    }
}
