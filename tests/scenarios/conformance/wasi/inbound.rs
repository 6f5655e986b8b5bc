//! `wasi:http`, requests that come in: the guests say what each function did that served this very request.

use serde_json::{Value, json};

use crate::support::raw::Raw;

use super::super::apps::Apps;
use super::super::case::{Call, Section, call, err, ok};
use super::super::table::Table;
use super::{THREE, TWO};

const CLIENT: &str = "a client's request";

pub fn sections() -> Vec<Section> {
    [(TWO, two()), (THREE, three())]
        .map(|((app, interface), calls)| {
            super::super::case::section(interface, CLIENT, app, "inbound", calls)
        })
        .into()
}

fn said(function: &'static str, expected: Value) -> Call {
    call(function, json!([]), expected)
}

fn two() -> Vec<Call> {
    let taken = || err(());
    vec![
        said("http/incoming-handler#handle", json!(null)),
        said("http/types#incoming-request.method", json!("post")),
        said("http/types#incoming-request.path-with-query", json!("/inbound")),
        said("http/types#incoming-request.scheme", json!("http")),
        said("http/types#incoming-request.authority", json!("127.0.0.1:…")),
        said("http/types#incoming-request.headers", json!(1)),
        said("http/types#fields.set", err("immutable")).when("they are a request's headers"),
        said("http/types#incoming-request.consume", ok(())),
        said("http/types#incoming-request.consume", taken()).when("a second time"),
        said("http/types#incoming-body.stream", ok(())),
        said("http/types#incoming-body.stream", taken()).when("a second time"),
        said("io/streams#input-stream.blocking-read", json!(true)),
        said("http/types#incoming-body.finish", json!(null)),
        said("http/types#future-trailers.subscribe", json!(null)),
        said("http/types#future-trailers.get", ok(ok(()))),
        said("http/types#future-trailers.get", taken()).when("a second time"),
        said("http/types#outgoing-response.new", json!(null)),
        said("http/types#outgoing-response.status-code", json!(200)),
        said("http/types#outgoing-response.set-status-code", taken()).when("the code is 99"),
        said("http/types#outgoing-response.set-status-code", ok(())),
        said("http/types#outgoing-response.headers", json!([])),
        said("http/types#outgoing-response.body", ok(())),
        said("http/types#outgoing-response.body", taken()).when("a second time"),
        said("http/types#outgoing-body.write", ok(())),
        said("http/types#outgoing-body.write", taken()).when("a second time"),
        said("http/types#response-outparam.set", json!(null)),
        said("http/types#outgoing-body.finish", ok(())),
    ]
}

fn three() -> Vec<Call> {
    vec![
        said("http/handler#handle", json!(null)),
        said("http/types#request.get-method", json!("post")),
        said("http/types#request.get-path-with-query", json!("/inbound")),
        said("http/types#request.get-scheme", json!("http")),
        said("http/types#request.get-authority", json!("127.0.0.1:…")),
        said("http/types#request.get-options", json!(false)),
        said("http/types#request.get-headers", json!(1)),
        said("http/types#fields.set", err("immutable")).when("they are a request's headers"),
        said("http/types#request.consume-body", json!([true, ok(())])),
        said("http/types#response.new", json!(null)),
        said("http/types#response.get-status-code", json!(200)),
        said("http/types#response.set-status-code", err(())).when("the code is 99"),
        said("http/types#response.set-status-code", ok(())),
        said("http/types#response.get-headers", json!([])),
    ]
}

/// What only bytes on a socket show: a body that waits to be asked for, and one that is followed by trailers.
pub async fn trailers_and_continue(apps: &Apps, table: &mut Table) {
    for ((app, interface), waiting, trailers) in [
        (TWO, "incoming-request.consume", "future-trailers.get"),
        (THREE, "request.consume-body", "request.consume-body"),
    ] {
        let mut raw = Raw::open(apps.address(app)).await;
        raw.write("POST /inbound HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\ncontent-length: 4\r\nconnection: close\r\n\r\n")
            .await;
        raw.read_to("HTTP/1.1 100 Continue\r\n\r\n").await;
        raw.write("body").await;
        raw.read_to("HTTP/1.1 200 OK\r\n").await;
        let interface = interface.replace('*', "http/types");
        table.row(
            &interface,
            app,
            CLIENT,
            waiting,
            "the client expects `100 Continue`: it is sent",
            "works",
        );

        let mut raw = Raw::open(apps.address(app)).await;
        raw.write(
            "POST /inbound HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\ntrailer: x-end\r\nconnection: close\r\n\r\n\
             4\r\nbody\r\n0\r\nx-end: yes\r\n\r\n",
        )
        .await;
        raw.read_to("[[\"x-end\",\"yes\"]]").await;
        table.row(&interface, app, CLIENT, trailers, "with trailers", "works");
    }
}
