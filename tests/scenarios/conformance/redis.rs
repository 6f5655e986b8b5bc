//! docs/contract/host-interfaces.md §5.6.

use serde_json::{Value, json};

use super::apps::{Apps, NOWHERE};
use super::case::{Call, Section, call, err, ok, section};

const REDIS: &str = "Redis";

pub fn sections(apps: &Apps) -> Vec<Section> {
    let url = apps.redis.address();
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        sections.push(section(
            "fermyon:spin/redis",
            REDIS,
            app,
            "redis",
            unversioned(&url),
        ));
    }
    for (interface, app) in [
        ("fermyon:spin/redis@2.0.0", "apis5"),
        ("spin:redis/redis@3.0.0", "apis7"),
    ] {
        sections.push(section(interface, REDIS, app, interface, versioned(&url)));
    }
    sections
}

/// A command whose arguments are texts.
fn run(first: &Value, command: &str, arguments: &[&str], expected: Value) -> Call {
    let arguments: Vec<_> = arguments.iter().map(|text| json!({"binary": text})).collect();
    call("execute", json!([first, command, arguments]), expected)
}

/// What all versions do. `first` is the handle, or the address.
fn common(first: &Value, error: impl Fn(&str) -> Value) -> Vec<Call> {
    let script = |text: &'static str| [text, "0"];
    vec![
        run(first, "flushdb", &[], ok(json!([{"status": "OK"}]))),
        call("set", json!([first, "k", "0x00ff80"]), ok(())),
        call("get", json!([first, "k"]), ok("0x00ff80")),
        call("incr", json!([first, "n"]), ok(1)),
        call("incr", json!([first, "n"]), ok(2)),
        call("incr", json!([first, "k"]), error("An error was signalled by the server - ResponseError: value is not an integer or out of range")).when("the value is no number"),
        call("sadd", json!([first, "s", ["a", "b", "a"]]), ok(2)),
        call("smembers", json!([first, "s"]), ok(json!(["a", "b"]))),
        call("smembers", json!([first, "missing"]), ok(json!([]))).when("the key is missing"),
        call("srem", json!([first, "s", ["a", "c"]]), ok(1)),
        call("get", json!([first, "s"]), error("\"WRONGTYPE\": Operation against a key holding the wrong kind of value")).when("the value is a set"),
        run(first, "sadd", &["bytes", "0xff"], ok(json!([{"int64": 1}]))),
        call("smembers", json!([first, "bytes"]), error("Incompatible type - Cannot convert from UTF-8: invalid utf-8 sequence of 1 bytes from index 0")).when("a member is not UTF-8"),
        call("publish", json!([first, "nobody", "listens"]), ok(())),
        call("del", json!([first, ["k", "n", "missing"]]), ok(2)),
        run(first, "get", &["missing"], ok(json!(["nil"]))),
        call(
            "execute",
            json!([first, "append", [{"binary": "t"}, {"int64": -12}]]),
            ok(json!([{"int64": 3}])),
        ),
        run(first, "get", &["t"], ok(json!([{"binary": "-12"}]))),
        run(first, "ping", &[], ok(json!([{"status": "PONG"}]))),
        run(
            first,
            "eval",
            &script("return {1, 'a', {2, {3}}, false}"),
            ok(json!([{"int64": 1}, {"binary": "a"}, {"int64": 2}, {"int64": 3}, "nil"])),
        )
        .when("the reply is nested"),
        run(first, "eval", &script("return {}"), ok(json!([]))).when("the reply is empty"),
        run(first, "nonsense", &[], error("An error was signalled by the server - ResponseError: unknown command 'nonsense'…")).when("there is no such command"),
    ]
}

fn unversioned(url: &str) -> Vec<Call> {
    let mut calls = common(&json!(url), |_| err("error"));
    calls.extend([
        call("get", json!([url, "missing"]), ok(json!([]))).when("the key is missing"),
        call("get", json!([format!("redis://{NOWHERE}"), "k"]), err("error")).when("the server is down"),
        call("get", json!(["redis://not-allowed:6379", "k"]), err("error"))
            .when("the address is not allowed"),
        call("get", json!(["nonsense", "k"]), err("error")).when("the address is none"),
    ]);
    calls
}

fn versioned(url: &str) -> Vec<Call> {
    let mut calls = vec![call("open", json!([url]), ok(0))];
    calls.extend(common(&json!(0), |text| err(json!({"other": text}))));
    calls.extend([
        call("get", json!([0, "missing"]), ok(())).when("the key is missing"),
        call("set", json!([0, "text", "t"]), ok(())),
        call(
            "sadd",
            json!([0, "text", ["a"]]),
            err(json!({"other": "…WRONGTYPE…"})),
        )
        .when("the value is no set"),
        call(
            "open",
            json!([format!("redis://{NOWHERE}")]),
            err(json!({"other": "Connection refused (os error 111)"})),
        )
        .when("the server is down"),
        call(
            "open",
            json!(["redis://not-allowed:6379"]),
            err("invalid-address"),
        )
        .when("the address is not allowed"),
        call("open", json!(["nonsense"]), err("invalid-address")).when("the address is none"),
        call("drop", json!([0]), json!(null)),
    ]);
    calls
}
