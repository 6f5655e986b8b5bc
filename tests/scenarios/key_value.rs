//! Key-value stores in a Redis of the operator's (docs/contract/host-interfaces.md §5.1): what no single call shows.

use serde_json::Value;

use super::backends::run;
use crate::support::prelude::*;
use crate::support::redis::Redis;

const STORE: &str = "wasi:keyvalue@0.2.0-draft2";
/// More than the server is asked for at once.
const MANY: usize = 2_500;

fn layout() -> Layout {
    let component = Component::new("apis5", guest("apis5")).grant("key_value_stores", "default");
    let app = App::new("apis5").component(component).route("/...", "apis5");
    Layout::with(&app)
}

/// The app, with its default store on the server.
fn file(layout: &Layout, redis: &Redis) -> Value {
    let mut file = layout.file("v1");
    file["runtime_config"] =
        json!({"key_value_store": {"default": {"type": "redis", "url": redis.address()}}});
    file
}

fn ok(value: impl Into<Value>) -> Value {
    json!({"ok": value.into()})
}

fn keys(keys: &[String]) -> Value {
    ok(json!({"keys": keys, "cursor": null}))
}

#[tokio::test]
async fn an_app_whose_name_is_a_pattern_sees_and_lists_its_own_keys_alone() {
    let redis = Redis::plain().await;
    let (daemon, layout) = (Daemon::start().await, layout());
    let neighbour = daemon.serve("shop", &file(&layout, &redis)).await;
    let address = daemon.serve("sh*p", &file(&layout, &redis)).await;
    let theirs = [json!(["open", "default"]), json!(["set", 0, "theirs", "x"])];
    assert_eq!(run(neighbour, STORE, &theirs).await, [ok(0), ok(json!(null))]);

    let mut names: Vec<String> = ["", "\0", "a\0b", "a:b", "*", "ключ"].map(String::from).into();
    names.extend((0..MANY).map(|number| format!("n{number}")));
    let pairs: Vec<_> = names.iter().map(|name| json!([name, "7"])).collect();
    let script = [
        json!(["open", "default"]),
        json!(["set-many", 0, pairs]),
        json!(["list-keys", 0, null]),
        json!(["delete", 0, "*"]),
        json!(["get", 0, "*"]),
        json!(["get", 0, "a:b"]),
    ];
    let results = run(address, STORE, &script).await;
    names.sort();
    assert_eq!(results[2], keys(&names));
    assert_eq!(results[3..], [ok(json!(null)), ok(json!(null)), ok("7")]);

    let left = [json!(["open", "default"]), json!(["list-keys", 0, null])];
    assert_eq!(run(neighbour, STORE, &left).await[1], keys(&["theirs".into()]));
}

#[tokio::test]
async fn a_swap_is_done_only_if_nothing_changed_since_the_value_was_looked_at() {
    let redis = Redis::plain().await;
    let (daemon, layout) = (Daemon::start().await, layout());
    let address = daemon.serve("shop", &file(&layout, &redis)).await;
    let failed = |place: u32| json!({"err": {"cas-failed": place}});
    let nothing = || ok(json!(null));
    let steps = [
        (json!(["open", "default"]), ok(0)),
        // Nothing was there, and something is; and the other way round.
        (json!(["cas.new", 0, "k"]), ok(0)),
        (json!(["cas.current", 0]), nothing()),
        (json!(["set", 0, "k", "x"]), nothing()),
        (json!(["swap", 0, "1"]), failed(1)),
        (json!(["cas.current", 1]), ok("x")),
        (json!(["delete", 0, "k"]), nothing()),
        (json!(["swap", 1, "1"]), failed(2)),
        (json!(["cas.current", 2]), nothing()),
        (json!(["swap", 2, ""]), nothing()),
        // An empty value is not nothing.
        (json!(["cas.new", 0, "k"]), ok(3)),
        (json!(["cas.current", 3]), ok(json!([]))),
        (json!(["swap", 3, "2"]), nothing()),
        // What was not looked at may be anything.
        (json!(["cas.new", 0, "k"]), ok(4)),
        (json!(["swap", 4, "3"]), nothing()),
        (json!(["get", 0, "k"]), ok("3")),
    ];
    let (script, expected): (Vec<_>, Vec<_>) = steps.into_iter().unzip();
    assert_eq!(run(address, STORE, &script).await, expected);
}

#[tokio::test]
async fn a_store_is_found_again_after_its_server_was_away_and_a_restart_that_no_call_saw_is_not_seen() {
    let mut redis = Redis::plain().await;
    let (daemon, layout) = (Daemon::start().await, layout());
    let address = daemon.serve("shop", &file(&layout, &redis)).await;
    let set = [json!(["open", "default"]), json!(["set", 0, "k", "v"])];
    let get = [json!(["open", "default"]), json!(["get", 0, "k"])];
    assert_eq!(run(address, STORE, &set).await[1], ok(json!(null)));
    redis.stop();
    let refused = run(address, STORE, &get).await[1]["err"]["other"].to_string();
    assert!(refused.contains("no connection to the Redis server"), "{refused}");
    redis.start().await;
    assert_eq!(run(address, STORE, &get).await[1], ok("v"));
    redis.stop();
    redis.start().await;
    assert_eq!(run(address, STORE, &set).await[1], ok(json!(null)));
}
