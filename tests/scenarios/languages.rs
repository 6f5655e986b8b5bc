//! Apps as people write them, in each language and with each generation of its SDK: each uses the stores, the database, its
//! variables and another server.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::guests::large_guest;
use crate::support::prelude::*;
use crate::support::redis::Redis;

/// Rust, each generation of Spin's SDK that is published; SDK 1 is not.
const RUST: [&str; 7] = ["sdk2", "sdk3", "sdk3-core", "sdk4", "sdk5", "sdk6", "sdk7"];

/// `language` is the guest's name, for messages.
async fn is_given_what_it_asks_for(language: &str, wasm: Vec<u8>) {
    let (_other, _other_layout, target) = served(&App::of("probe", "1")).await;
    let component = Component::new("apis", wasm)
        .grant("key_value_stores", "default")
        .grant("databases", "default")
        .config("greeting", "{{ word }}, you")
        .allow(&format!("http://{target}"));
    let app = App::new(language)
        .component(component)
        .variable("word", json!({"default": "hello"}))
        .route("/...", "apis");
    let (mut daemon, _layout, address) = served(&app).await;
    let text = async |address, path: &str| get(address, path).await.unwrap().text().trim_end().to_owned();
    assert!(text(address, "/kv/a").await.starts_with("a 1"), "{language}");
    assert!(text(address, "/kv/a").await.starts_with("a 2"), "{language}");
    assert_eq!(text(address, "/sql?first").await, "1 first", "{language}");
    assert_eq!(
        text(address, "/sql?second").await,
        "1 first, 2 second",
        "{language}"
    );
    assert_eq!(text(address, "/var/greeting").await, "hello, you", "{language}");
    assert!(
        text(address, "/var/other").await.starts_with("error"),
        "{language}"
    );
    let fetched = text(address, &format!("/fetch?http://{target}/version")).await;
    assert_eq!(fetched, "200 1", "{language}");
    let denied = text(address, "/fetch?http://127.0.0.2:9/").await;
    assert!(denied.starts_with("error"), "{language}: {denied}");
    daemon.wait_log("http://127.0.0.2:9").await;

    daemon.crash().await;
    daemon.start_again().await;
    let address = daemon.address("app").await;
    assert!(text(address, "/kv/a").await.starts_with("a 3"), "{language}");
    assert_eq!(text(address, "/sql").await, "1 first, 2 second", "{language}");
}

#[tokio::test]
async fn javascript_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("js-apis", large_guest("js-apis")).await;
}

#[tokio::test]
async fn python_of_the_second_generation_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("py-apis2", large_guest("py-apis2")).await;
}

#[tokio::test]
async fn python_of_the_third_generation_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    is_given_what_it_asks_for("py-apis3", large_guest("py-apis3")).await;
}

#[tokio::test]
async fn rust_of_every_generation_is_given_what_it_asks_for_and_keeps_it_after_a_crash() {
    for generation in RUST {
        is_given_what_it_asks_for(generation, guest(generation)).await;
    }
}

#[tokio::test]
async fn rust_of_every_generation_counts_in_redis_where_it_is_allowed() {
    let redis = Redis::plain().await;
    let daemon = Daemon::start().await;
    for generation in RUST {
        let component = Component::new("apis", guest(generation)).allow(&redis.address());
        let app = App::new(generation).component(component).route("/...", "apis");
        let layout = Layout::with(&app);
        let file = json!({"reference": layout.reference("v1"), "address": "127.0.0.1:0"});
        let address = daemon.serve(generation, &file).await;
        for count in 1..=2 {
            let counted = get(address, &format!("/redis/{generation}?{}", redis.address())).await;
            assert_eq!(counted.unwrap().text(), format!("{generation} {count}\n"));
        }
        assert_eq!(redis.command(&["GET", generation]).await, "2", "{generation}");
        let denied = get(address, "/redis/a?redis://127.0.0.2:9").await.unwrap();
        assert!(
            denied.text().starts_with("error"),
            "{generation}: {}",
            denied.text()
        );
    }
}

/// What a guest of Spin 1 is given for these calls (`tests/guests/calls`).
async fn results(address: SocketAddr, interface: &str, calls: Value) -> Vec<Value> {
    let calls = calls.as_array().expect("a list");
    let script: String = calls.iter().map(|call| format!("{call}\n")).collect();
    let mut connection = Connection::open(address).await.unwrap();
    let reply = connection.post(&format!("/{interface}"), script).await.unwrap();
    let text = reply.text();
    let lines = text.lines().map(serde_json::from_str::<Value>);
    let results = lines.map(|line| line.unwrap_or_else(|error| panic!("{error}: {text}"))["result"].take());
    results.collect()
}

#[tokio::test]
async fn modules_and_components_of_spin_1_are_given_what_they_ask_for_and_keep_it_after_a_crash() {
    let (_other, _other_layout, target) = served(&App::of("probe", "1")).await;
    for name in ["apis1-core", "apis1"] {
        let component = Component::new("apis", guest(name))
            .grant("key_value_stores", "default")
            .grant("databases", "default")
            .config("greeting", "{{ word }}, you")
            .allow(&format!("http://{target}"));
        let app = App::new(name)
            .component(component)
            .variable("word", json!({"default": "hello"}))
            .route("/...", "apis");
        let (mut daemon, _layout, address) = served(&app).await;
        let calls = json!([["open", "default"], ["set", null, "a", "1"]]);
        assert_eq!(
            results(address, "key-value", calls).await[1],
            json!({"ok": null}),
            "{name}"
        );
        let calls = json!([
            ["open", "default"],
            ["execute", null, "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)", []],
            ["execute", null, "INSERT INTO notes (text) VALUES (?1)", [{"text": "first"}]],
        ]);
        let added = results(address, "sqlite", calls).await;
        assert_eq!(added[2], json!({"ok": {"columns": [], "rows": []}}), "{name}");
        let variables = results(address, "config", json!([["get-config", "greeting"]])).await;
        assert_eq!(variables, [json!({"ok": "hello, you"})], "{name}");
        let version = format!("http://{target}/version");
        let request = json!({"method": "get", "uri": version, "headers": [], "params": [], "body": null});
        let fetched = results(address, "http", json!([["send-request", request]])).await;
        assert_eq!(fetched[0]["ok"]["body"], "1", "{name}: {fetched:?}");

        daemon.crash().await;
        daemon.start_again().await;
        let address = daemon.address("app").await;
        let calls = json!([["open", "default"], ["get", null, "a"]]);
        assert_eq!(
            results(address, "key-value", calls).await[1],
            json!({"ok": "1"}),
            "{name}"
        );
        let calls = json!([["open", "default"], ["execute", null, "SELECT * FROM notes", []]]);
        let kept = results(address, "sqlite", calls).await;
        assert_eq!(
            kept[1]["ok"]["rows"],
            json!([{"values": [{"integer": 1}, {"text": "first"}]}]),
            "{name}"
        );
    }
}
