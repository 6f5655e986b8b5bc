//! `wasi:http`, requests that go out: every function, every method, and what a server may do to a client.

use serde_json::{Value, json};

use super::super::apps::{Apps, NOWHERE};
use super::super::case::{Call, Section, call, err, ok};
use super::{THREE, TWO, section};

const HTTP: &str = "HTTP";
const MILLISECOND: u64 = 1_000_000;
const SECOND: u64 = 1000 * MILLISECOND;

/// How a guest names each, how a server sees it, and the row's situation.
const METHODS: [(&str, &str, &str); 8] = [
    ("get", "GET", "the method is GET"),
    ("post", "POST", "the method is POST"),
    ("put", "PUT", "the method is PUT"),
    ("delete", "DELETE", "the method is DELETE"),
    ("patch", "PATCH", "the method is PATCH"),
    ("options", "OPTIONS", "the method is OPTIONS"),
    ("trace", "TRACE", "the method is TRACE"),
    ("PURGE", "PURGE", "the method is one of the guest's own, PURGE"),
];

/// Headers that are the host's business, each with its row's situation.
const FORBIDDEN: [(&str, &str); 9] = [
    ("connection", "the name is `connection`, which the host sets"),
    ("host", "the name is `host`, which the host sets"),
    (
        "http2-settings",
        "the name is `http2-settings`, which the host sets",
    ),
    ("keep-alive", "the name is `keep-alive`, which the host sets"),
    (
        "proxy-authenticate",
        "the name is `proxy-authenticate`, which the host sets",
    ),
    (
        "proxy-authorization",
        "the name is `proxy-authorization`, which the host sets",
    ),
    (
        "proxy-connection",
        "the name is `proxy-connection`, which the host sets",
    ),
    (
        "transfer-encoding",
        "the name is `transfer-encoding`, which the host sets",
    ),
    ("upgrade", "the name is `upgrade`, which the host sets"),
];

pub fn sections(apps: &Apps) -> Vec<Section> {
    let target = apps.target.to_string();
    let peer = apps.peer.address.to_string();
    let mut sections = vec![
        section(TWO, "the host", fields("http/types#fields.entries", json!("…"))),
        section(
            THREE,
            "the host",
            fields("http/types#fields.copy-all", json!("…")),
        ),
        section(TWO, HTTP, two::exchange(&target)),
        section(THREE, HTTP, three::exchange(&target)),
    ];
    for (method, seen, when) in METHODS {
        let method = if method == seen {
            json!({"other": method})
        } else {
            json!(method)
        };
        sections.push(section(TWO, HTTP, two::method(&target, &method, seen, when)));
        sections.push(section(THREE, HTTP, three::method(&target, &method, seen, when)));
    }
    let head = ("head", "the method is HEAD");
    sections.push(section(TWO, HTTP, two::head(&target, head.0, head.1)));
    sections.push(section(THREE, HTTP, three::head(&target, head.0, head.1)));
    for (authority, path, timeout, error, when) in [
        (
            "not-allowed",
            "/",
            0,
            json!("http-request-denied"),
            "the address is not allowed",
        ),
        (
            NOWHERE,
            "/",
            0,
            json!("connection-refused"),
            "nobody listens there",
        ),
        (
            peer.as_str(),
            "/closes",
            0,
            json!("http-protocol-error"),
            "the server closes without an answer",
        ),
        (
            peer.as_str(),
            "/nonsense",
            0,
            json!("http-protocol-error"),
            "the answer is no HTTP",
        ),
        (
            peer.as_str(),
            "/silent",
            50 * MILLISECOND,
            json!("connection-read-timeout"),
            "no answer comes within the first byte's time",
        ),
    ] {
        sections.push(section(
            TWO,
            HTTP,
            two::failure(authority, path, timeout, error.clone(), when),
        ));
        sections.push(section(
            THREE,
            HTTP,
            three::failure(authority, path, timeout, error, when),
        ));
    }
    for (path, timeout, first, error, when) in [
        (
            "/half",
            0,
            "half",
            json!("http-protocol-error"),
            "the body breaks off",
        ),
        (
            "/stalls",
            50 * MILLISECOND,
            "stalled",
            json!("connection-read-timeout"),
            "the body's next bytes do not come within their time",
        ),
    ] {
        sections.push(section(TWO, HTTP, two::broken(&peer, path, timeout, first, when)));
        sections.push(section(
            THREE,
            HTTP,
            three::broken(&peer, path, timeout, first, error, when),
        ));
    }
    for (path, body, trailers, when) in [
        (
            "/hints",
            "final",
            json!(null),
            "the server sends 103 first: the guest sees the final response",
        ),
        (
            "/trailers",
            "body",
            json!([["x-end", "yes"]]),
            "trailers follow the response's body",
        ),
    ] {
        sections.push(section(
            TWO,
            HTTP,
            two::peer(&peer, path, body, trailers.clone(), when),
        ));
        sections.push(section(
            THREE,
            HTTP,
            three::peer(&peer, path, body, trailers, when),
        ));
    }
    sections
}

fn fields(all: &'static str, sorted: Value) -> Vec<Call> {
    let mut calls = vec![
        call("http/types#fields.new", json!([]), json!(0)),
        call("http/types#fields.set", json!([0, "x-kind", ["a", "b"]]), ok(())),
        call(
            "http/types#fields.append",
            json!([0, "x-kind", "0x00ff80"]),
            err("invalid-syntax"),
        )
        .when("the value has control characters"),
        call("http/types#fields.append", json!([0, "X-Kind", "0xff80"]), ok(())),
        call(
            "http/types#fields.get",
            json!([0, "X-KIND"]),
            json!(["a", "b", "0xff80"]),
        ),
        call("http/types#fields.get", json!([0, "missing"]), json!([])).when("there is no such name"),
        call("http/types#fields.has", json!([0, "x-kind"]), json!(true)),
        call("http/types#fields.has", json!([0, "missing"]), json!(false)),
        call(all, json!([0]), sorted),
        call("http/types#fields.clone", json!([0]), json!(1)),
        call("http/types#fields.delete", json!([0, "x-kind"]), ok(())),
        call("http/types#fields.get", json!([0, "x-kind"]), json!([])),
        call(
            "http/types#fields.get",
            json!([1, "x-kind"]),
            json!(["a", "b", "0xff80"]),
        ),
        call(
            "http/types#fields.from-list",
            json!([[["x-one", "1"], ["x-two", "2"]]]),
            ok(2),
        ),
        call(
            "http/types#fields.from-list",
            json!([[["host", "x"]]]),
            err("forbidden"),
        )
        .when("one of the names is forbidden"),
        call(
            "http/types#fields.set",
            json!([0, "a b", ["x"]]),
            err("invalid-syntax"),
        )
        .when("the name has a space"),
        call(
            "http/types#fields.set",
            json!([0, "x", ["a\r\nb"]]),
            err("invalid-syntax"),
        )
        .when("the value has a line break"),
    ];
    for (name, when) in FORBIDDEN {
        calls.push(call("http/types#fields.set", json!([0, name, ["x"]]), err("forbidden")).when(when));
    }
    if all.ends_with("copy-all") {
        calls.push(call(
            "http/types#fields.get-and-delete",
            json!([1, "x-kind"]),
            ok(json!(["a", "b", "0xff80"])),
        ));
        calls.push(call("http/types#fields.get", json!([1, "x-kind"]), json!([])));
    }
    calls
}

/// Times that are set and read: names without what stands before the reading function's.
fn times(set: [&'static str; 3], get: [&'static str; 3]) -> Vec<Call> {
    let calls = set.into_iter().zip(get).flat_map(|(set, get)| {
        [
            call(get, json!([0]), json!(null)),
            call(set, json!([0, 10 * SECOND]), ok(())),
            call(get, json!([0]), json!(10 * SECOND)),
        ]
    });
    calls.collect()
}

mod two {
    use super::{Call, Value, call, err, json, ok, times};

    /// A request, ready to be sent; its body is the first one, its headers were the first fields.
    fn request(headers: Value, method: &Value, authority: &str, path: &str) -> Vec<Call> {
        vec![
            call("http/types#fields.from-list", json!([headers]), ok(0)),
            call("http/types#outgoing-request.new", json!([0]), json!(0)),
            call(
                "http/types#outgoing-request.set-method",
                json!([0, method]),
                ok(()),
            ),
            call(
                "http/types#outgoing-request.set-scheme",
                json!([0, "http"]),
                ok(()),
            ),
            call(
                "http/types#outgoing-request.set-authority",
                json!([0, authority]),
                ok(()),
            ),
            call(
                "http/types#outgoing-request.set-path-with-query",
                json!([0, path]),
                ok(()),
            ),
        ]
    }

    /// Waits for the response, and begins its body.
    fn response() -> Vec<Call> {
        vec![
            call(
                "http/types#future-incoming-response.subscribe",
                json!([0]),
                json!(0),
            ),
            call("io/poll#pollable.block", json!([0]), json!(null)),
            call("http/types#future-incoming-response.get", json!([0]), ok(0)),
            call("http/types#incoming-response.status", json!([0]), json!(200)),
            call("http/types#incoming-response.consume", json!([0]), ok(0)),
        ]
    }

    /// Every function once: a body and trailers there, a body and trailers back.
    pub(super) fn exchange(target: &str) -> Vec<Call> {
        let mut calls = request(
            json!([["te", "trailers"], ["trailer", "x-end"]]),
            &json!("post"),
            target,
            "/trailers",
        );
        calls.extend([
            call("http/types#outgoing-request.method", json!([0]), json!("post")),
            call("http/types#outgoing-request.scheme", json!([0]), json!("http")),
            call("http/types#outgoing-request.authority", json!([0]), json!(target)),
            call(
                "http/types#outgoing-request.path-with-query",
                json!([0]),
                json!("/trailers"),
            ),
            call(
                "http/types#outgoing-request.headers",
                json!([0]),
                json!([["te", "trailers"], ["trailer", "x-end"]]),
            ),
            call(
                "http/types#outgoing-request.set-method",
                json!([0, {"other": "a b"}]),
                err(()),
            )
            .when("it is no method"),
            call(
                "http/types#outgoing-request.set-authority",
                json!([0, "a b"]),
                err(()),
            )
            .when("it is no authority"),
            call(
                "http/types#outgoing-request.set-path-with-query",
                json!([0, "/a b"]),
                err(()),
            )
            .when("it is no path"),
            call(
                "http/types#outgoing-request.set-scheme",
                json!([0, {"other": "a b"}]),
                err(()),
            )
            .when("it is no scheme"),
            call("http/types#outgoing-request.body", json!([0]), ok(0)),
            call("http/types#outgoing-request.body", json!([0]), err(())).when("a second time"),
            call("http/types#request-options.new", json!([]), json!(0)),
        ]);
        calls.extend(times(
            [
                "http/types#request-options.set-connect-timeout",
                "http/types#request-options.set-first-byte-timeout",
                "http/types#request-options.set-between-bytes-timeout",
            ],
            [
                "http/types#request-options.connect-timeout",
                "http/types#request-options.first-byte-timeout",
                "http/types#request-options.between-bytes-timeout",
            ],
        ));
        calls.extend([
            call("http/outgoing-handler#handle", json!([0, true, 0]), ok(0)),
            call("http/types#future-incoming-response.get", json!([0]), json!(null))
                .when("the body is not yet sent"),
            call("http/types#outgoing-body.write", json!([0]), ok(0)),
            call(
                "io/streams#output-stream.blocking-write-and-flush",
                json!([0, "one "]),
                ok(()),
            ),
            call(
                "io/streams#output-stream.blocking-write-and-flush",
                json!([0, "two"]),
                ok(()),
            ),
            call("io/streams#output-stream.drop", json!([0]), json!(null)),
            call("http/types#fields.from-list", json!([[["x-end", "yes"]]]), ok(1)),
            call("http/types#outgoing-body.finish", json!([0, true, 1]), ok(())),
        ]);
        calls.extend(response());
        calls.extend([
            call("http/types#future-incoming-response.get", json!([0]), err(())).when("a second time"),
            call(
                "http/types#incoming-response.headers",
                json!([0, "content-type"]),
                json!(["text/plain"]),
            ),
            call("http/types#incoming-response.consume", json!([0]), err(())).when("a second time"),
            call("http/types#incoming-body.stream", json!([0]), ok(0)),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                ok("7 bytes\nx-end: yes\n"),
            ),
            call("io/streams#input-stream.drop", json!([0]), json!(null)),
            call("http/types#incoming-body.finish", json!([0]), json!(0)),
            call("http/types#future-trailers.subscribe", json!([0]), json!(1)),
            call("io/poll#pollable.block", json!([1]), json!(null)),
            call(
                "http/types#future-trailers.get",
                json!([0]),
                ok(ok(json!([["x-length", "19"]]))),
            ),
            call("http/types#future-trailers.get", json!([0]), err(())).when("a second time"),
        ]);
        calls
    }

    pub(super) fn method(target: &str, method: &Value, seen: &str, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), method, target, "/echo");
        calls.push(call("http/outgoing-handler#handle", json!([0, null]), ok(0)).when(when));
        calls.extend(response());
        calls.extend([
            call("http/types#incoming-body.stream", json!([0]), ok(0)),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                ok(format!("method {seen}\n…")),
            ),
        ]);
        calls
    }

    pub(super) fn head(target: &str, method: &str, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &json!(method), target, "/bytes?n=5");
        calls.push(call("http/outgoing-handler#handle", json!([0, null]), ok(0)).when(when));
        calls.extend(response());
        calls.extend([
            call(
                "http/types#incoming-response.headers",
                json!([0, "content-length"]),
                json!(["5"]),
            ),
            call("http/types#incoming-body.stream", json!([0]), ok(0)),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                err("closed"),
            )
            .when("the response to HEAD has no body"),
        ]);
        calls
    }

    /// `timeout`: of the first byte, in nanoseconds; none if it is 0.
    pub(super) fn failure(
        authority: &str,
        path: &str,
        timeout: u64,
        error: Value,
        when: &'static str,
    ) -> Vec<Call> {
        let mut calls = request(json!([]), &json!("get"), authority, path);
        calls.extend(options(
            "http/types#request-options.set-first-byte-timeout",
            timeout,
        ));
        calls.extend([
            call(
                "http/types#future-incoming-response.subscribe",
                json!([0]),
                json!(0),
            ),
            call("io/poll#pollable.block", json!([0]), json!(null)),
            call("http/types#future-incoming-response.get", json!([0]), err(error)).when(when),
        ]);
        calls
    }

    /// Sends the request, with that time if it is not 0.
    fn options(set: &'static str, timeout: u64) -> Vec<Call> {
        if timeout == 0 {
            return vec![call("http/outgoing-handler#handle", json!([0, null]), ok(0))];
        }
        vec![
            call("http/types#request-options.new", json!([]), json!(0)),
            call(set, json!([0, timeout]), ok(())),
            call("http/outgoing-handler#handle", json!([0, true, 0]), ok(0)),
        ]
    }

    /// `timeout`: between bytes.
    pub(super) fn broken(peer: &str, path: &str, timeout: u64, first: &str, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &json!("get"), peer, path);
        calls.extend(options(
            "http/types#request-options.set-between-bytes-timeout",
            timeout,
        ));
        calls.extend(response());
        calls.extend([
            call("http/types#incoming-body.stream", json!([0]), ok(0)),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                ok(first),
            ),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                err(json!({"last-operation-failed": 0})),
            )
            .when(when),
            call("io/error#error.to-debug-string", json!([0]), json!("…")),
            call("filesystem/types#filesystem-error-code", json!([0]), json!(null))
                .when("the error is of a body"),
            // The engine keeps another type in a body's error than the one that it looks for.
            call("http/types#http-error-code", json!([0]), json!(null))
                .when("the error is of a body: no code is told"),
        ]);
        calls
    }

    /// What comes before a final response is not the guest's; trailers are.
    pub(super) fn peer(peer: &str, path: &str, body: &str, trailers: Value, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &json!("get"), peer, path);
        calls.push(call("http/outgoing-handler#handle", json!([0, null]), ok(0)).when(when));
        calls.extend(response());
        calls.extend([
            call(
                "http/types#incoming-response.headers",
                json!([0, "link"]),
                json!([]),
            ),
            call("http/types#incoming-body.stream", json!([0]), ok(0)),
            call(
                "io/streams#input-stream.blocking-read",
                json!([0, 1000]),
                ok(body),
            ),
            call("io/streams#input-stream.drop", json!([0]), json!(null)),
            call("http/types#incoming-body.finish", json!([0]), json!(0)),
            call("http/types#future-trailers.subscribe", json!([0]), json!(1)),
            call("io/poll#pollable.block", json!([1]), json!(null)),
            call("http/types#future-trailers.get", json!([0]), ok(ok(trailers))),
        ]);
        calls
    }
}

mod three {
    use super::{Call, Value, call, err, json, ok, times};

    /// A request, ready to be sent, whose headers were the first fields. `body`, `trailers` and `options` as the guest takes
    /// them.
    fn request(headers: Value, more: &[Value], method: &Value, authority: &str, path: &str) -> Vec<Call> {
        let mut arguments = vec![json!(0)];
        arguments.extend_from_slice(more);
        vec![
            call("http/types#fields.from-list", json!([headers]), ok(0)),
            call("http/types#request.new", json!(arguments), json!(0)),
            call("http/types#request.set-method", json!([0, method]), ok(())),
            call("http/types#request.set-scheme", json!([0, "http"]), ok(())),
            call("http/types#request.set-authority", json!([0, authority]), ok(())),
            call("http/types#request.set-path-with-query", json!([0, path]), ok(())),
        ]
    }

    /// No body, trailers or options.
    fn plain() -> [Value; 3] {
        [json!(null), json!(null), json!(null)]
    }

    pub(super) fn exchange(target: &str) -> Vec<Call> {
        let mut calls = vec![call("http/types#request-options.new", json!([]), json!(0))];
        calls.extend(times(
            [
                "http/types#request-options.set-connect-timeout",
                "http/types#request-options.set-first-byte-timeout",
                "http/types#request-options.set-between-bytes-timeout",
            ],
            [
                "http/types#request-options.get-connect-timeout",
                "http/types#request-options.get-first-byte-timeout",
                "http/types#request-options.get-between-bytes-timeout",
            ],
        ));
        calls.extend([
            call("http/types#request-options.clone", json!([0]), json!(1)),
            call(
                "http/types#fields.from-list",
                json!([[["te", "trailers"], ["trailer", "x-end"]]]),
                ok(0),
            ),
            call("http/types#fields.from-list", json!([[["x-end", "yes"]]]), ok(1)),
            call(
                "http/types#request.new",
                json!([0, "one two", true, 1, true, 0]),
                json!(0),
            ),
            call("http/types#request.set-method", json!([0, "post"]), ok(())),
            call("http/types#request.set-scheme", json!([0, "http"]), ok(())),
            call("http/types#request.set-authority", json!([0, target]), ok(())),
            call(
                "http/types#request.set-path-with-query",
                json!([0, "/trailers"]),
                ok(()),
            ),
            call("http/types#request.get-method", json!([0]), json!("post")),
            call("http/types#request.get-scheme", json!([0]), json!("http")),
            call("http/types#request.get-authority", json!([0]), json!(target)),
            call(
                "http/types#request.get-path-with-query",
                json!([0]),
                json!("/trailers"),
            ),
            call(
                "http/types#request.get-headers",
                json!([0]),
                json!([["te", "trailers"], ["trailer", "x-end"]]),
            ),
            call("http/types#request.get-options", json!([0]), err("immutable")),
            call(
                "http/types#request.set-method",
                json!([0, {"other": "a b"}]),
                err(()),
            )
            .when("it is no method"),
            call("http/types#request.set-authority", json!([0, "a b"]), err(())).when("it is no authority"),
            call(
                "http/types#request.set-path-with-query",
                json!([0, "/a b"]),
                err(()),
            )
            .when("it is no path"),
            call(
                "http/types#request.set-scheme",
                json!([0, {"other": "a b"}]),
                err(()),
            )
            .when("it is no scheme"),
            call("http/client#send", json!([0]), ok(0)),
            call("http/types#request.new.sent", json!([0]), ok(())),
            call("http/types#response.get-status-code", json!([0]), json!(200)),
            call(
                "http/types#response.get-headers",
                json!([0, "content-type"]),
                json!(["text/plain"]),
            ),
            call(
                "http/types#response.consume-body",
                json!([0]),
                json!(["7 bytes\nx-end: yes\n", ok(json!([["x-length", "19"]]))]),
            ),
        ]);
        calls
    }

    pub(super) fn method(target: &str, method: &Value, seen: &str, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &plain(), method, target, "/echo");
        calls.extend([
            call("http/client#send", json!([0]), ok(0)).when(when),
            call("http/types#response.get-status-code", json!([0]), json!(200)),
            call(
                "http/types#response.consume-body",
                json!([0]),
                json!([format!("method {seen}\n…"), ok(())]),
            ),
        ]);
        calls
    }

    pub(super) fn head(target: &str, method: &str, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &plain(), &json!(method), target, "/bytes?n=5");
        calls.extend([
            call("http/client#send", json!([0]), ok(0)).when(when),
            call(
                "http/types#response.get-headers",
                json!([0, "content-length"]),
                json!(["5"]),
            ),
            call(
                "http/types#response.consume-body",
                json!([0]),
                json!(["", ok(())]),
            )
            .when("the response to HEAD has no body"),
        ]);
        calls
    }

    pub(super) fn failure(
        authority: &str,
        path: &str,
        timeout: u64,
        error: Value,
        when: &'static str,
    ) -> Vec<Call> {
        let mut calls = timed(
            "http/types#request-options.set-first-byte-timeout",
            timeout,
            authority,
            path,
        );
        calls.push(call("http/client#send", json!([0]), err(error)).when(when));
        calls
    }

    /// A request with that time if it is not 0.
    fn timed(set: &'static str, timeout: u64, authority: &str, path: &str) -> Vec<Call> {
        if timeout == 0 {
            return request(json!([]), &plain(), &json!("get"), authority, path);
        }
        let mut calls = vec![
            call("http/types#request-options.new", json!([]), json!(0)),
            call(set, json!([0, timeout]), ok(())),
        ];
        let more = [json!(null), json!(null), json!(true), json!(0)];
        calls.extend(request(json!([]), &more, &json!("get"), authority, path));
        calls
    }

    pub(super) fn broken(
        peer: &str,
        path: &str,
        timeout: u64,
        first: &str,
        error: Value,
        when: &'static str,
    ) -> Vec<Call> {
        let mut calls = timed(
            "http/types#request-options.set-between-bytes-timeout",
            timeout,
            peer,
            path,
        );
        calls.extend([
            call("http/client#send", json!([0]), ok(0)),
            call("http/types#response.get-status-code", json!([0]), json!(200)),
            call(
                "http/types#response.consume-body",
                json!([0]),
                json!([first, err(error)]),
            )
            .when(when),
        ]);
        calls
    }

    pub(super) fn peer(peer: &str, path: &str, body: &str, trailers: Value, when: &'static str) -> Vec<Call> {
        let mut calls = request(json!([]), &plain(), &json!("get"), peer, path);
        calls.extend([
            call("http/client#send", json!([0]), ok(0)).when(when),
            call("http/types#response.get-status-code", json!([0]), json!(200)),
            call("http/types#response.get-headers", json!([0, "link"]), json!([])),
            call(
                "http/types#response.consume-body",
                json!([0]),
                json!([body, ok(trailers)]),
            ),
        ]);
        calls
    }
}
