//! `wasi:sockets`: as far as an app's allowed hosts go.

use serde_json::{Value, json};

use super::super::apps::{Apps, NOWHERE};
use super::super::case::{Call, Section, call, err, ok};
use super::{THREE, TWO, section};

const ECHO: &str = "an echo server";
/// An address that no entry of the app's allows, and a name that none spells out.
const DENIED: &str = "127.0.0.1:9";
const DENIED_NAME: &str = "example.org";
const NOT_ALLOWED: &str = "the address is not allowed";
const NOT_NAMED: &str = "no allowed host spells the name out";
/// Listening: no app may be reached by a socket of its own.
const NO_LISTENING: &str = "guests may not listen";

pub fn sections(apps: &Apps) -> Vec<Section> {
    vec![
        section(TWO, ECHO, tcp2(apps)),
        section(TWO, ECHO, udp2(apps)),
        section(TWO, "the host's resolver", names2()),
        section(THREE, ECHO, tcp3(apps)),
        section(THREE, ECHO, udp3(apps)),
        section(THREE, "the host's resolver", names3()),
    ]
}

/// Reads what was set. Names of functions are those of one generation: `$get` is what stands before a reading one.
macro_rules! options {
    ($socket:literal, $get:literal, [$($name:literal $value:expr),*]) => {
        vec![$(
            call(concat!($socket, "set-", $name), json!([0, $value]), ok(())),
            call(concat!($socket, $get, $name), json!([0]), ok($value)),
        )*]
    };
}

const SECOND: u64 = 1_000_000_000;
const BUFFER: u64 = 16_384;

fn sizes(calls: [(&'static str, &'static str); 2]) -> Vec<Call> {
    let calls = calls.into_iter().flat_map(|(set, get)| {
        [
            call(set, json!([0, BUFFER]), ok(())),
            call(get, json!([0]), ok(true)),
        ]
    });
    calls.collect()
}

fn tcp2(apps: &Apps) -> Vec<Call> {
    let echo = apps.echo.tcp.to_string();
    let mut calls = vec![
        call("sockets/instance-network#instance-network", json!([]), json!(0)),
        call(
            "sockets/tcp-create-socket#create-tcp-socket",
            json!(["ipv4"]),
            ok(0),
        ),
        call("sockets/tcp#tcp-socket.address-family", json!([0]), json!("ipv4")),
        call("sockets/tcp#tcp-socket.is-listening", json!([0]), json!(false)),
    ];
    calls.extend(options!("sockets/tcp#tcp-socket.", "", [
        "keep-alive-enabled" true, "keep-alive-idle-time" 10 * SECOND, "keep-alive-interval" 5 * SECOND,
        "keep-alive-count" 3, "hop-limit" 60
    ]));
    calls.extend(sizes([
        (
            "sockets/tcp#tcp-socket.set-receive-buffer-size",
            "sockets/tcp#tcp-socket.receive-buffer-size",
        ),
        (
            "sockets/tcp#tcp-socket.set-send-buffer-size",
            "sockets/tcp#tcp-socket.send-buffer-size",
        ),
    ]));
    calls.extend([
        call(
            "sockets/tcp#tcp-socket.set-listen-backlog-size",
            json!([0, 5]),
            ok(()),
        ),
        call(
            "sockets/tcp#tcp-socket.local-address",
            json!([0]),
            err("invalid-state"),
        )
        .when("the socket is not bound"),
        call(
            "sockets/tcp#tcp-socket.start-connect",
            json!([0, 0, echo]),
            ok(()),
        ),
        call("sockets/tcp#tcp-socket.subscribe", json!([0]), json!(0)),
        call("io/poll#pollable.block", json!([0]), json!(null)),
        call(
            "sockets/tcp#tcp-socket.finish-connect",
            json!([0]),
            ok(json!([0, 0])),
        ),
        call(
            "sockets/tcp#tcp-socket.local-address",
            json!([0]),
            ok("127.0.0.1"),
        ),
        call(
            "sockets/tcp#tcp-socket.remote-address",
            json!([0]),
            ok("127.0.0.1"),
        ),
        call(
            "io/streams#output-stream.blocking-write-and-flush",
            json!([0, "over tcp"]),
            ok(()),
        ),
        call(
            "io/streams#input-stream.blocking-read",
            json!([0, 8]),
            ok("over tcp"),
        ),
        call("sockets/tcp#tcp-socket.shutdown", json!([0, "both"]), ok(())),
        call(
            "sockets/tcp-create-socket#create-tcp-socket",
            json!(["ipv6"]),
            ok(1),
        ),
        call(
            "sockets/tcp-create-socket#create-tcp-socket",
            json!(["ipv4"]),
            ok(2),
        ),
        call(
            "sockets/tcp#tcp-socket.start-bind",
            json!([2, 0, "127.0.0.1:0"]),
            err("access-denied"),
        )
        .when(NO_LISTENING),
        call(
            "sockets/tcp#tcp-socket.start-bind",
            json!([2, 0, "0.0.0.0:0"]),
            err("access-denied"),
        )
        .when(NO_LISTENING),
        call(
            "sockets/tcp#tcp-socket.finish-bind",
            json!([2]),
            err("not-in-progress"),
        )
        .when("nothing was begun"),
        call(
            "sockets/tcp#tcp-socket.start-listen",
            json!([2]),
            err("invalid-state"),
        )
        .when(NO_LISTENING),
        call(
            "sockets/tcp#tcp-socket.finish-listen",
            json!([2]),
            err("not-in-progress"),
        )
        .when("nothing was begun"),
        call("sockets/tcp#tcp-socket.accept", json!([2]), err("invalid-state")).when(NO_LISTENING),
        call(
            "sockets/tcp-create-socket#create-tcp-socket",
            json!(["ipv4"]),
            ok(3),
        ),
        call(
            "sockets/tcp#tcp-socket.start-connect",
            json!([3, 0, DENIED]),
            ok(()),
        ),
        call(
            "sockets/tcp#tcp-socket.finish-connect",
            json!([3]),
            err("access-denied"),
        )
        .when(NOT_ALLOWED),
        call(
            "sockets/tcp-create-socket#create-tcp-socket",
            json!(["ipv4"]),
            ok(4),
        ),
        call(
            "sockets/tcp#tcp-socket.start-connect",
            json!([4, 0, NOWHERE]),
            ok(()),
        ),
        call(
            "sockets/tcp#tcp-socket.finish-connect",
            json!([4]),
            err("connection-refused"),
        )
        .when("nobody listens there"),
    ]);
    calls
}

fn udp2(apps: &Apps) -> Vec<Call> {
    let echo = apps.echo.udp.to_string();
    let mut calls = vec![
        call("sockets/instance-network#instance-network", json!([]), json!(0)),
        call(
            "sockets/udp-create-socket#create-udp-socket",
            json!(["ipv4"]),
            ok(0),
        ),
        call("sockets/udp#udp-socket.address-family", json!([0]), json!("ipv4")),
        call(
            "sockets/udp#udp-socket.start-bind",
            json!([0, 0, "127.0.0.1:0"]),
            err("access-denied"),
        )
        .when("no entry allows the local address"),
        call(
            "sockets/udp#udp-socket.start-bind",
            json!([0, 0, "0.0.0.0:0"]),
            ok(()),
        ),
        call("sockets/udp#udp-socket.finish-bind", json!([0]), ok(())),
    ];
    calls.extend(options!("sockets/udp#udp-socket.", "", ["unicast-hop-limit" 60]));
    calls.extend(sizes([
        (
            "sockets/udp#udp-socket.set-receive-buffer-size",
            "sockets/udp#udp-socket.receive-buffer-size",
        ),
        (
            "sockets/udp#udp-socket.set-send-buffer-size",
            "sockets/udp#udp-socket.send-buffer-size",
        ),
    ]));
    calls.extend([
        call("sockets/udp#udp-socket.local-address", json!([0]), ok("0.0.0.0")),
        call(
            "sockets/udp#udp-socket.remote-address",
            json!([0]),
            err("invalid-state"),
        )
        .when("it is not connected"),
        call(
            "sockets/udp#udp-socket.stream",
            json!([0, null]),
            ok(json!([0, 0])),
        ),
        call("sockets/udp#udp-socket.subscribe", json!([0]), json!(0)),
        call("io/poll#pollable.block", json!([0]), json!(null)),
        call(
            "sockets/udp#outgoing-datagram-stream.subscribe",
            json!([0]),
            json!(1),
        ),
        call("io/poll#pollable.block", json!([1]), json!(null)),
        call(
            "sockets/udp#outgoing-datagram-stream.check-send",
            json!([0]),
            ok(true),
        ),
        call(
            "sockets/udp#outgoing-datagram-stream.send",
            json!([0, "datagram", echo]),
            ok(1),
        ),
        call(
            "sockets/udp#incoming-datagram-stream.subscribe",
            json!([0]),
            json!(2),
        ),
        call("io/poll#pollable.block", json!([2]), json!(null)),
        call(
            "sockets/udp#incoming-datagram-stream.receive",
            json!([0, 1]),
            ok(json!([["datagram", "127.0.0.1"]])),
        ),
        call(
            "sockets/udp#incoming-datagram-stream.receive",
            json!([0, 1]),
            ok(json!([])),
        )
        .when("nothing has come"),
        call(
            "sockets/udp#outgoing-datagram-stream.check-send",
            json!([0]),
            ok(true),
        ),
        call(
            "sockets/udp#outgoing-datagram-stream.send",
            json!([0, "x", DENIED]),
            err("access-denied"),
        )
        .when(NOT_ALLOWED),
        call(
            "sockets/udp-create-socket#create-udp-socket",
            json!(["ipv6"]),
            ok(1),
        ),
    ]);
    calls
}

fn names2() -> Vec<Call> {
    vec![
        call("sockets/instance-network#instance-network", json!([]), json!(0)),
        call(
            "sockets/ip-name-lookup#resolve-addresses",
            json!([0, "localhost"]),
            ok(0),
        ),
        call(
            "sockets/ip-name-lookup#resolve-address-stream.subscribe",
            json!([0]),
            json!(0),
        ),
        call("io/poll#pollable.block", json!([0]), json!(null)),
        call(
            "sockets/ip-name-lookup#resolve-address-stream.resolve-next-address",
            json!([0]),
            ok("…"),
        ),
        call(
            "sockets/ip-name-lookup#resolve-addresses",
            json!([0, DENIED_NAME]),
            err("permanent-resolver-failure"),
        )
        .when(NOT_NAMED),
    ]
}

fn tcp3(apps: &Apps) -> Vec<Call> {
    let echo = apps.echo.tcp.to_string();
    let mut calls = vec![
        call("sockets/types#tcp-socket.create", json!(["ipv4"]), ok(0)),
        call(
            "sockets/types#tcp-socket.get-address-family",
            json!([0]),
            json!("ipv4"),
        ),
        call(
            "sockets/types#tcp-socket.get-is-listening",
            json!([0]),
            json!(false),
        ),
    ];
    calls.extend(options!("sockets/types#tcp-socket.", "get-", [
        "keep-alive-enabled" true, "keep-alive-idle-time" 10 * SECOND, "keep-alive-interval" 5 * SECOND,
        "keep-alive-count" 3, "hop-limit" 60
    ]));
    calls.extend(sizes([
        (
            "sockets/types#tcp-socket.set-receive-buffer-size",
            "sockets/types#tcp-socket.get-receive-buffer-size",
        ),
        (
            "sockets/types#tcp-socket.set-send-buffer-size",
            "sockets/types#tcp-socket.get-send-buffer-size",
        ),
    ]));
    calls.extend([
        call(
            "sockets/types#tcp-socket.set-listen-backlog-size",
            json!([0, 5]),
            ok(()),
        ),
        call(
            "sockets/types#tcp-socket.get-local-address",
            json!([0]),
            err("invalid-state"),
        )
        .when("the socket is not bound"),
        call("sockets/types#tcp-socket.connect", json!([0, echo]), ok(())),
        call(
            "sockets/types#tcp-socket.get-local-address",
            json!([0]),
            ok("127.0.0.1"),
        ),
        call(
            "sockets/types#tcp-socket.get-remote-address",
            json!([0]),
            ok("127.0.0.1"),
        ),
        // Its end is the connection's half that writes, after which the echo ends too.
        call("sockets/types#tcp-socket.send", json!([0, "over tcp"]), ok(())),
        call(
            "sockets/types#tcp-socket.receive",
            json!([0]),
            json!(["over tcp", ok(())]),
        ),
        call(
            "sockets/types#tcp-socket.receive",
            json!([0]),
            json!(["", err("invalid-state")]),
        )
        .when("a second time"),
        call(
            "sockets/types#tcp-socket.send",
            json!([0, "x"]),
            err("invalid-state"),
        )
        .when("a second time"),
        call("sockets/types#tcp-socket.create", json!(["ipv6"]), ok(1)),
        call("sockets/types#tcp-socket.create", json!(["ipv4"]), ok(2)),
        call(
            "sockets/types#tcp-socket.bind",
            json!([2, "127.0.0.1:0"]),
            err("access-denied"),
        )
        .when(NO_LISTENING),
        call(
            "sockets/types#tcp-socket.bind",
            json!([2, "0.0.0.0:0"]),
            err("access-denied"),
        )
        .when(NO_LISTENING),
        call(
            "sockets/types#tcp-socket.listen",
            json!([2]),
            err("access-denied"),
        )
        .when(NO_LISTENING),
        call("sockets/types#tcp-socket.create", json!(["ipv4"]), ok(3)),
        call(
            "sockets/types#tcp-socket.connect",
            json!([3, DENIED]),
            err("access-denied"),
        )
        .when(NOT_ALLOWED),
        call("sockets/types#tcp-socket.create", json!(["ipv4"]), ok(4)),
        call(
            "sockets/types#tcp-socket.connect",
            json!([4, NOWHERE]),
            err("connection-refused"),
        )
        .when("nobody listens there"),
    ]);
    calls
}

fn udp3(apps: &Apps) -> Vec<Call> {
    let echo = apps.echo.udp.to_string();
    let mut calls = vec![
        call("sockets/types#udp-socket.create", json!(["ipv4"]), ok(0)),
        call(
            "sockets/types#udp-socket.get-address-family",
            json!([0]),
            json!("ipv4"),
        ),
        call(
            "sockets/types#udp-socket.bind",
            json!([0, "127.0.0.1:0"]),
            err("access-denied"),
        )
        .when("no entry allows the local address"),
        call("sockets/types#udp-socket.bind", json!([0, "0.0.0.0:0"]), ok(())),
    ];
    calls.extend(options!("sockets/types#udp-socket.", "get-", ["unicast-hop-limit" 60]));
    calls.extend(sizes([
        (
            "sockets/types#udp-socket.set-receive-buffer-size",
            "sockets/types#udp-socket.get-receive-buffer-size",
        ),
        (
            "sockets/types#udp-socket.set-send-buffer-size",
            "sockets/types#udp-socket.get-send-buffer-size",
        ),
    ]));
    let received: Value = ok(json!(["datagram", "127.0.0.1"]));
    calls.extend([
        call(
            "sockets/types#udp-socket.get-local-address",
            json!([0]),
            ok("0.0.0.0"),
        ),
        call(
            "sockets/types#udp-socket.get-remote-address",
            json!([0]),
            err("invalid-state"),
        )
        .when("it is not connected"),
        call(
            "sockets/types#udp-socket.send",
            json!([0, "datagram", echo]),
            ok(()),
        ),
        call("sockets/types#udp-socket.receive", json!([0]), received),
        call(
            "sockets/types#udp-socket.send",
            json!([0, "x", DENIED]),
            err("access-denied"),
        )
        .when(NOT_ALLOWED),
        call(
            "sockets/types#udp-socket.connect",
            json!([0, DENIED]),
            err("access-denied"),
        )
        .when(NOT_ALLOWED),
        call("sockets/types#udp-socket.connect", json!([0, echo]), ok(())),
        call(
            "sockets/types#udp-socket.get-remote-address",
            json!([0]),
            ok("127.0.0.1"),
        ),
        call("sockets/types#udp-socket.disconnect", json!([0]), ok(())),
        call(
            "sockets/types#udp-socket.disconnect",
            json!([0]),
            err("invalid-state"),
        )
        .when("it is not connected"),
    ]);
    calls
}

fn names3() -> Vec<Call> {
    vec![
        call(
            "sockets/ip-name-lookup#resolve-addresses",
            json!(["localhost"]),
            ok("…"),
        ),
        call(
            "sockets/ip-name-lookup#resolve-addresses",
            json!([DENIED_NAME]),
            err("permanent-resolver-failure"),
        )
        .when(NOT_NAMED),
    ]
}
