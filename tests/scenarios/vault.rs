//! Variables whose values a Vault keeps (docs/contract/runtime-config.md §5), with OpenBao for Vault.

use serde_json::Value;

use crate::support::openbao::{MOUNT, OpenBao, TOKEN};
use crate::support::prelude::*;

const VARIABLES: &str = "/fermyon:spin/variables@2.0.0";

fn app() -> App {
    let component = Component::new("apis5", guest("apis5"))
        .config("password", "<{{ db_pw }}>")
        .config("other", "{{ other }}");
    App::new("apis5")
        .component(component)
        .route("/...", "apis5")
        .variable("db_pw", json!({"secret": true}))
        .variable("other", json!({"default": "its default"}))
}

fn file(layout: &Layout, server: &OpenBao) -> Value {
    let mut file = layout.file("v1");
    file["runtime_config"] = json!({"variables_provider": [
        {"type": "vault", "url": server.url(), "token": TOKEN, "mount": MOUNT, "prefix": "app"},
    ]});
    file
}

async fn value(address: std::net::SocketAddr, name: &str) -> Value {
    let mut connection = Connection::open(address).await.expect("it listens");
    let script = format!("{}\n", json!(["get", name]));
    let reply = connection.post(VARIABLES, script).await.expect("an answer");
    let line: Value = serde_json::from_str(reply.text()).expect("one line of JSON");
    line["result"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_read_at_each_call() {
    let server = OpenBao::start().await;
    server.put("app/db_pw", "hush-1").await;
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &file(&layout, &server)).await;
    assert_eq!(value(address, "password").await, json!({"ok": "<hush-1>"}));
    server.put("app/db_pw", "hush-2").await;
    assert_eq!(value(address, "password").await, json!({"ok": "<hush-2>"}));
    assert!(!daemon.logs().contains("hush"), "{}", daemon.logs());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_that_is_not_there_leaves_the_default() {
    let server = OpenBao::start().await;
    server.put("app/db_pw", "x").await;
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &file(&layout, &server)).await;
    assert_eq!(value(address, "other").await, json!({"ok": "its default"}));
    server.put("app/other", "given").await;
    assert_eq!(value(address, "other").await, json!({"ok": "given"}));
    server.delete("app/other").await;
    assert_eq!(value(address, "other").await, json!({"ok": "its default"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_that_is_down_keeps_no_app_from_starting_and_calls_recover() {
    let mut server = OpenBao::stopped();
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &file(&layout, &server)).await;
    let refused = value(address, "password").await;
    let text = refused["err"]["provider"].as_str().unwrap_or_default();
    assert!(
        text.contains("`db_pw`") && text.contains("can't be reached"),
        "{refused}"
    );
    server.start_again().await;
    server.put("app/db_pw", "late").await;
    assert_eq!(value(address, "password").await, json!({"ok": "<late>"}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_secret_that_the_vault_does_not_have_is_named() {
    let server = OpenBao::start().await;
    let layout = Layout::with(&app());
    let daemon = Daemon::start().await;
    daemon.write_app("app", &file(&layout, &server));
    daemon.wait_error("app", "`db_pw`").await;
}
