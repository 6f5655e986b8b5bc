//! DynamoDB as a key-value store (docs/contract/runtime-config.md §3, host-interfaces.md §5.1 and §6.1).

use std::net::SocketAddr;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::Value;

use crate::scenarios::backends::run;
use crate::support::moto::{Moto, REGION};
use crate::support::prelude::*;
use crate::support::wait::until;

const STORES: &str = "fermyon:spin/key-value@2.0.0";
const WASI: &str = "wasi:keyvalue@0.2.0-draft2";
/// The table of most scenarios.
const TABLE: &str = "stores";

/// A guest that may open two labels.
fn app() -> App {
    let component = Component::new("apis", guest("apis5"))
        .grant("key_value_stores", "default")
        .grant("key_value_stores", "cache");
    App::new("apis").component(component).route("/...", "apis")
}

/// Its file, both labels being in the same table.
fn file(layout: &Layout) -> Value {
    let store = json!({"type": "aws_dynamo", "region": REGION, "table": TABLE, "consistent_read": true});
    let mut file = layout.file("v1");
    file["runtime_config"] = json!({"key_value_store": {"default": store, "cache": store}});
    file
}

/// An app named `shop`, and a table for it.
async fn shop() -> (Moto, Daemon, Layout, SocketAddr) {
    let moto = Moto::start().await;
    moto.create_table(TABLE).await;
    let daemon = moto.daemon().start().await;
    let layout = Layout::with(&app());
    let address = daemon.serve("shop", &file(&layout)).await;
    (moto, daemon, layout, address)
}

/// Runs calls on the store that a label names; their results.
async fn on(address: SocketAddr, label: &str, calls: Vec<Value>) -> Vec<Value> {
    let mut script = vec![json!(["open", label])];
    script.extend(calls);
    let mut results = run(address, WASI, &script).await;
    assert_eq!(results.remove(0), json!({"ok": 0}));
    results
}

/// The error of a call, in words.
fn error(result: &Value) -> &str {
    result["err"]["other"]
        .as_str()
        .unwrap_or_else(|| panic!("no error of the interface: {result}"))
}

fn ok(value: impl Into<Value>) -> Value {
    json!({"ok": value.into()})
}

#[tokio::test]
async fn apps_and_labels_are_apart_in_one_table() {
    let (moto, daemon, layout, shop) = shop().await;
    let blog = daemon.serve("blog", &file(&layout)).await;
    for (address, label, value) in [
        (shop, "default", "one"),
        (shop, "cache", "two"),
        (blog, "default", "three"),
    ] {
        let written = on(address, label, vec![json!(["set", 0, "k", value])]).await;
        assert_eq!(written, [ok(())]);
    }
    let read = vec![json!(["get", 0, "k"]), json!(["list-keys", 0, null])];
    for (address, label, value) in [
        (shop, "default", "one"),
        (shop, "cache", "two"),
        (blog, "default", "three"),
    ] {
        let results = on(address, label, read.clone()).await;
        let keys = ok(json!({"keys": ["k"], "cursor": null}));
        assert_eq!(results, [ok(value), keys], "{label}");
    }
    let empty = on(blog, "cache", read).await;
    assert_eq!(empty, [ok(()), ok(json!({"keys": [], "cursor": null}))]);

    // As Spin writes them: a text and bytes.
    let bytes = |text: &str| AttributeValue::B(Blob::new(text));
    let expected = [
        ("blog:default:k".to_owned(), bytes("three")),
        ("shop:cache:k".into(), bytes("two")),
        ("shop:default:k".into(), bytes("one")),
    ];
    assert_eq!(moto.items(TABLE).await, expected.into());
}

#[tokio::test]
async fn what_was_stored_is_there_after_a_restart_and_after_a_crash() {
    let (_moto, mut daemon, _layout, address) = shop().await;
    on(
        address,
        "default",
        vec![json!(["set", 0, "k", "v"]), json!(["increment", 0, "n", 5])],
    )
    .await;
    daemon.stop().await;
    daemon.start_again().await;
    let address = daemon.address("shop").await;
    let results = on(
        address,
        "default",
        vec![json!(["get", 0, "k"]), json!(["increment", 0, "n", 1])],
    )
    .await;
    assert_eq!(results, [ok("v"), ok(6)]);
    daemon.crash().await;
    daemon.start_again().await;
    let address = daemon.address("shop").await;
    let results = on(address, "default", vec![json!(["increment", 0, "n", 1])]).await;
    assert_eq!(results, [ok(7)]);
}

#[tokio::test]
async fn a_counter_is_decimal_text_as_spin_has_it() {
    let (moto, _daemon, _layout, address) = shop().await;
    let calls = vec![
        json!(["increment", 0, "n", 5]),
        json!(["increment", 0, "n", -7]),
        json!(["get", 0, "n"]),
        json!(["set", 0, "n", "41"]),
        json!(["increment", 0, "n", 1]),
    ];
    let results = on(address, "default", calls).await;
    assert_eq!(results, [ok(5), ok(-2), ok("-2"), ok(()), ok(42)]);
    assert_eq!(moto.text(TABLE, "shop:default:n").await.as_deref(), Some("42"));

    let calls = vec![
        json!(["set", 0, "n", "not a number"]),
        json!(["increment", 0, "n", 1]),
        json!(["get", 0, "n"]),
        json!(["set", 0, "n", i64::MAX.to_string()]),
        json!(["increment", 0, "n", 1]),
        json!(["increment", 0, "n", -1]),
    ];
    let results = on(address, "default", calls).await;
    assert!(error(&results[1]).contains("decimal"), "{results:?}");
    assert_eq!(results[2], ok("not a number"));
    assert!(error(&results[4]).contains("64 bits"), "{results:?}");
    assert_eq!(results[5], ok(i64::MAX - 1));
}

#[tokio::test]
async fn increments_at_the_same_time_all_count() {
    const CALLERS: usize = 8;
    const TIMES: usize = 5;
    let (moto, _daemon, _layout, address) = shop().await;
    let callers = (0..CALLERS).map(|_| {
        let calls = vec![json!(["increment", 0, "n", 1]); TIMES];
        on(address, "default", calls)
    });
    let mut seen: Vec<_> = futures::future::join_all(callers)
        .await
        .concat()
        .iter()
        .map(|result| result["ok"].as_u64().unwrap_or_else(|| panic!("{result}")))
        .collect();
    seen.sort();
    // Each sum was given to one caller alone.
    let expected: Vec<_> = (1..=(CALLERS * TIMES) as u64).collect();
    assert_eq!(seen, expected);
    assert_eq!(moto.text(TABLE, "shop:default:n").await.as_deref(), Some("40"));
}

#[tokio::test]
async fn a_swap_happens_only_where_nothing_has_changed() {
    let (moto, _daemon, _layout, address) = shop().await;
    let calls = vec![
        // The key is missing, and stays so until the swap.
        json!(["cas.new", 0, "k"]),
        json!(["cas.current", 0]),
        json!(["swap", 0, ""]),
        // An empty value is none that is missing.
        json!(["cas.new", 0, "k"]),
        json!(["cas.current", 1]),
        json!(["swap", 1, "1"]),
        // The key is missing when it is looked at only.
        json!(["cas.new", 0, "other"]),
        json!(["cas.current", 2]),
        json!(["set", 0, "other", "first"]),
        json!(["swap", 2, "late"]),
        json!(["cas.current", 3]),
        json!(["swap", 3, "second"]),
        // The value goes away in between.
        json!(["cas.new", 0, "k"]),
        json!(["cas.current", 4]),
        json!(["delete", 0, "k"]),
        json!(["swap", 4, "2"]),
        json!(["cas.current", 5]),
        // Nothing was looked at.
        json!(["cas.new", 0, "k"]),
        json!(["swap", 6, "3"]),
    ];
    let results = on(address, "default", calls).await;
    let failed = |cas: u32| json!({"err": {"cas-failed": cas}});
    let expected = [
        ok(0),
        ok(()),
        ok(()),
        ok(1),
        ok(json!([])),
        ok(()),
        ok(2),
        ok(()),
        ok(()),
        failed(3),
        ok("first"),
        ok(()),
        ok(4),
        ok("1"),
        ok(()),
        failed(5),
        ok(()),
        ok(6),
        ok(()),
    ];
    assert_eq!(results, expected);
    assert_eq!(moto.text(TABLE, "shop:default:k").await.as_deref(), Some("3"));
    assert_eq!(
        moto.text(TABLE, "shop:default:other").await.as_deref(),
        Some("second")
    );
}

#[tokio::test]
async fn more_keys_than_one_request_may_have_go_in_portions() {
    const KEYS: usize = 230;
    let (moto, _daemon, _layout, address) = shop().await;
    let names: Vec<String> = (0..KEYS).map(|number| format!("n{number:03}")).collect();
    let pairs: Vec<_> = names.iter().map(|name| json!([name, name])).collect();
    let mut wanted = names.clone();
    wanted.push("missing".into());
    wanted.reverse();
    let results = on(
        address,
        "default",
        vec![json!(["set-many", 0, pairs]), json!(["get-many", 0, wanted])],
    )
    .await;
    assert_eq!(results[0], ok(()));
    let found = results[1]["ok"]
        .as_array()
        .unwrap_or_else(|| panic!("{results:?}"));
    assert_eq!(found.len(), KEYS + 1);
    for pair in found {
        let value = if pair[0] == "missing" {
            &Value::Null
        } else {
            &pair[0]
        };
        assert_eq!(&pair[1], value);
    }
    assert_eq!(moto.items(TABLE).await.len(), KEYS);
    let results = on(address, "default", vec![json!(["delete-many", 0, wanted])]).await;
    assert_eq!(results, [ok(())]);
    assert!(moto.items(TABLE).await.is_empty());
}

#[tokio::test]
async fn an_item_that_no_store_wrote_is_an_error_and_stays() {
    let (moto, _daemon, _layout, address) = shop().await;
    let foreign = AttributeValue::N("5".into());
    moto.put(TABLE, "shop:default:n", foreign.clone()).await;
    let calls = vec![
        json!(["get", 0, "n"]),
        json!(["increment", 0, "n", 1]),
        json!(["exists", 0, "n"]),
    ];
    let results = on(address, "default", calls).await;
    assert!(error(&results[0]).contains("`VAL`"), "{results:?}");
    assert!(error(&results[1]).contains("`VAL`"), "{results:?}");
    assert_eq!(results[2], ok(true));
    assert_eq!(moto.items(TABLE).await["shop:default:n"], foreign);
}

#[tokio::test]
async fn a_missing_table_is_the_interface_s_error_until_somebody_makes_it() {
    let moto = Moto::start().await;
    let daemon = moto.daemon().start().await;
    let layout = Layout::with(&app());
    let address = daemon.serve("shop", &file(&layout)).await;
    let script = [json!(["open", "default"]), json!(["set", 0, "k", "v"])];
    let results = run(address, STORES, &script).await;
    assert_eq!(results[0], ok(0));
    assert!(
        error(&results[1]).contains("ResourceNotFoundException"),
        "{results:?}"
    );
    moto.create_table(TABLE).await;
    assert_eq!(run(address, STORES, &script).await, [ok(0), ok(())]);
}

#[tokio::test]
async fn calls_fail_while_the_service_is_away_and_work_by_themselves_when_it_is_back() {
    let mut moto = Moto::stopped();
    let daemon = moto.daemon().start().await;
    let layout = Layout::with(&app());
    let address = daemon.serve("shop", &file(&layout)).await;
    let script = [json!(["open", "default"]), json!(["set", 0, "k", "v"])];
    for _ in 0..2 {
        let results = run(address, STORES, &script).await;
        assert!(error(&results[1]).starts_with("DynamoDB: "), "{results:?}");
        moto.start_again().await;
        moto.create_table(TABLE).await;
        until("the store to work", async || {
            let results = run(address, STORES, &script).await;
            match results[1] == ok(()) {
                true => Ok(()),
                false => Err(format!("{results:?}")),
            }
        })
        .await;
        moto.stop();
    }
}

#[tokio::test]
async fn keys_in_the_configuration_go_before_the_environment() {
    let moto = Moto::start().await;
    moto.create_table(TABLE).await;
    // The environment has none.
    let daemon = Daemon::builder()
        .env("AWS_ENDPOINT_URL", moto.url())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .start()
        .await;
    let layout = Layout::with(&app());
    let mut file = file(&layout);
    let script = [json!(["open", "default"]), json!(["set", 0, "k", "v"])];
    let address = daemon.serve("shop", &file).await;
    let results = run(address, STORES, &script).await;
    assert!(error(&results[1]).contains("credentials"), "{results:?}");

    let store = &mut file["runtime_config"]["key_value_store"]["default"];
    store["access_key"] = json!("key");
    store["secret_key"] = json!("secret");
    let address = daemon.serve("shop-with-keys", &file).await;
    assert_eq!(run(address, STORES, &script).await, [ok(0), ok(())]);
    let names: Vec<_> = moto.items(TABLE).await.into_keys().collect();
    assert_eq!(names, ["shop-with-keys:default:k"]);
}
