//! docs/contract/host-interfaces.md §5.5.

use serde_json::{Value, json};

use super::apps::{Apps, NOWHERE};
use super::case::{Call, Section, call, err, ok, section};

const HTTP: &str = "HTTP";

pub fn sections(apps: &Apps) -> Vec<Section> {
    let target = format!("http://{}", apps.target);
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        sections.push(section(
            "fermyon:spin/http",
            HTTP,
            app,
            "http",
            unversioned(&target),
        ));
    }
    sections.push(section(
        "wasi:http/outgoing-handler@0.2",
        HTTP,
        "apis5",
        "wasi:http/outgoing-handler@0.2.0",
        wasi(
            &target,
            "ErrorCode::HttpRequestDenied",
            "ErrorCode::ConnectionRefused",
        ),
    ));
    sections.push(section(
        "wasi:http/client@0.3.0",
        HTTP,
        "apis7",
        "wasi:http/client@0.3.0",
        wasi(&target, "…HttpRequestDenied…", "…ConnectionRefused…"),
    ));
    sections
}

fn request(method: &str, uri: &str, body: Value) -> Value {
    json!([{"method": method, "uri": uri, "headers": [["x-kind", "conformance"]], "params": [], "body": body}])
}

fn unversioned(target: &str) -> Vec<Call> {
    let version = format!("{target}/version");
    let answer = |status: u16, body: &str| ok(json!({"status": status, "headers": "…", "body": body}));
    let mut calls = vec![
        call(
            "send-request",
            request("get", &version, Value::Null),
            answer(200, "1…"),
        ),
        call(
            "send-request",
            request("post", &format!("{target}/echo"), json!("a body")),
            answer(200, "…a body…"),
        ),
    ];
    for (uri, error, when) in [
        (
            "http://not-allowed/",
            "destination-not-allowed",
            "the address is not allowed",
        ),
        (
            "/self",
            "destination-not-allowed",
            "to itself, which is not allowed",
        ),
    ] {
        calls.push(call("send-request", request("get", uri, Value::Null), err(error)).when(when));
    }
    let nowhere = format!("http://{NOWHERE}/");
    calls.push(
        call(
            "send-request",
            request("get", &nowhere, Value::Null),
            err("runtime-error"),
        )
        .when("nobody listens there"),
    );
    calls
}

fn wasi(target: &str, denied: &'static str, refused: &'static str) -> Vec<Call> {
    vec![
        call(
            "handle",
            json!([format!("{target}/version")]),
            ok(json!({"status": 200, "body": "1…"})),
        ),
        call("handle", json!(["http://not-allowed/"]), err(denied)).when("the address is not allowed"),
        call("handle", json!([format!("http://{NOWHERE}/")]), err(refused)).when("nobody listens there"),
    ]
}
