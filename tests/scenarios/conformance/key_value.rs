//! docs/contract/host-interfaces.md §5.1 and §6.1.

use serde_json::json;

use super::apps::DOWN;
use super::case::{Call, Section, TRAP, call, err, ok, section};

const FILE: &str = "SQLite file";
const REDIS: &str = "Redis";
const DYNAMO: &str = "DynamoDB (moto)";

pub fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        sections.push(section(
            "fermyon:spin/key-value",
            FILE,
            app,
            "key-value",
            unversioned(),
        ));
    }
    sections.push(section(
        "fermyon:spin/key-value",
        FILE,
        "apis1",
        "key-value",
        vec![call("get", json!([4711, "a"]), json!(TRAP)).when("the handle was never opened")],
    ));
    let mut backends = vec![("default", FILE), ("cache", REDIS)];
    if cfg!(feature = "aws") {
        backends.push(("cloud", DYNAMO));
    }
    for (label, backend) in backends {
        let two = "fermyon:spin/key-value@2.0.0";
        let three = "spin:key-value/key-value@3.0.0";
        sections.push(section(two, backend, "apis5", two, versioned(label)));
        sections.push(section(three, backend, "apis7", three, versioned(label)));
        sections.push(section(
            "wasi:keyvalue@0.2.0-draft2",
            backend,
            "apis5",
            "wasi:keyvalue@0.2.0-draft2",
            wasi(label),
        ));
    }
    sections.push(section(
        "fermyon:spin/key-value@2.0.0",
        REDIS,
        DOWN,
        "fermyon:spin/key-value@2.0.0",
        lost(
            "cache",
            "the server is down",
            "no connection to the Redis server: Connection refused (os error 111)",
        ),
    ));
    if cfg!(feature = "aws") {
        sections.push(section(
            "fermyon:spin/key-value@2.0.0",
            DYNAMO,
            DOWN,
            "fermyon:spin/key-value@2.0.0",
            lost("cloud", "the table is missing", "…"),
        ));
    }
    sections
}

/// A store behind which nothing is.
fn lost(label: &str, when: &'static str, told: &str) -> Vec<Call> {
    vec![
        call("open", json!([label]), ok(0)),
        call("get", json!([0, "a"]), err(json!({"other": told}))).when(when),
    ]
}

/// The functions that all versions have, on the store that was opened.
fn common(store: serde_json::Value) -> Vec<Call> {
    vec![
        call("set", json!([store, "a", "one"]), ok(())),
        call("get", json!([store, "a"]), ok("one")),
        call("set", json!([store, "a", "two"]), ok(())),
        call("get", json!([store, "a"]), ok("two")),
        call("exists", json!([store, "a"]), ok(true)),
        call("exists", json!([store, "b"]), ok(false)),
        call("set", json!([store, "empty", ""]), ok(())),
        call("get", json!([store, "empty"]), ok(json!([]))).when("the value is empty"),
        call("set", json!([store, "", "no name"]), ok(())).when("the key is empty"),
        call("get", json!([store, ""]), ok("no name")),
        call("set", json!([store, "ü/\u{0}", "0x00ff80"]), ok(())),
        call("get", json!([store, "ü/\u{0}"]), ok("0x00ff80")).when("neither key nor value is text"),
        call(
            "get-keys",
            json!([store]),
            ok(json!(["", "a", "empty", "ü/\u{0}"])),
        ),
        call("delete", json!([store, "a"]), ok(())),
        call("delete", json!([store, "a"]), ok(())).when("the key is missing"),
        call("delete", json!([store, ""]), ok(())),
        call("delete", json!([store, "empty"]), ok(())),
        call("delete", json!([store, "ü/\u{0}"]), ok(())),
        call("get-keys", json!([store]), ok(json!([]))).when("the store is empty"),
        call("open", json!(["other"]), err("access-denied")).when("the label is not granted"),
        call("open", json!([""]), err("access-denied")).when("the label is empty"),
    ]
}

fn unversioned() -> Vec<Call> {
    let mut calls = vec![call("open", json!(["default"]), ok("opened"))];
    calls.extend(common(json!(null)));
    calls.push(call("get", json!([null, "a"]), err("no-such-key")).when("the key is missing"));
    calls.push(call("close", json!([4711]), json!(null)).when("the handle was never opened"));
    calls.push(call("close", json!([null]), json!(null)));
    calls
}

fn versioned(label: &str) -> Vec<Call> {
    let mut calls = vec![call("open", json!([label]), ok(0))];
    calls.extend(common(json!(0)));
    calls.push(call("get", json!([0, "a"]), ok(())).when("the key is missing"));
    calls.push(call("drop", json!([0]), json!(null)));
    calls
}

fn wasi(label: &str) -> Vec<Call> {
    let no_number = match label {
        "cache" => "ResponseError: value is not an integer or out of range",
        "cloud" => "the value of \"n\" can't be incremented: it is not a decimal number of 64 bits",
        _ => "the value of \"n\" can't be incremented: it is not 8 bytes long",
    };
    let cursor = err(json!({"other": "list_keys: cursor not supported"}));
    vec![
        call("open", json!([label]), ok(0)),
        call("open", json!(["other"]), err("access-denied")).when("the label is not granted"),
        call("set", json!([0, "a", "one"]), ok(())),
        call("get", json!([0, "a"]), ok("one")),
        call("get", json!([0, "b"]), ok(())).when("the key is missing"),
        call("exists", json!([0, "a"]), ok(true)),
        call(
            "list-keys",
            json!([0, null]),
            ok(json!({"keys": ["a"], "cursor": null})),
        ),
        call("list-keys", json!([0, "a"]), cursor).when("with a cursor"),
        call("delete", json!([0, "a"]), ok(())),
        call("set-many", json!([0, [["x", "1"], ["y", "2"]]]), ok(())),
        call("set-many", json!([0, []]), ok(())),
        call(
            "get-many",
            json!([0, ["x", "z", "y"]]),
            ok(json!([["x", "1"], ["y", "2"], ["z", null]])),
        ),
        call("get-many", json!([0, []]), ok(json!([]))),
        call("delete-many", json!([0, ["x", "y", "z"]]), ok(())),
        call(
            "list-keys",
            json!([0, null]),
            ok(json!({"keys": [], "cursor": null})),
        ),
        call("increment", json!([0, "n", 5]), ok(5)),
        call("increment", json!([0, "n", -7]), ok(-2)),
        call("set", json!([0, "n", "not a number"]), ok(())),
        call("increment", json!([0, "n", 1]), err(json!({"other": no_number})))
            .when("the value is no number"),
        call("delete", json!([0, "n"]), ok(())),
        call("cas.new", json!([0, "c"]), ok(0)),
        call("cas.current", json!([0]), ok(())),
        call("swap", json!([0, "v1"]), ok(())),
        call("cas.new", json!([0, "c"]), ok(1)),
        call("cas.current", json!([1]), ok("v1")),
        call("set", json!([0, "c", "v2"]), ok(())),
        call("swap", json!([1, "v3"]), err(json!({"cas-failed": 2}))).when("the value has changed"),
        call("cas.current", json!([2]), ok("v2")),
        call("swap", json!([2, "v3"]), ok(())),
        call("get", json!([0, "c"]), ok("v3")),
        call("delete", json!([0, "c"]), ok(())),
    ]
}
