//! `wasi:clocks`, `wasi:random`, `wasi:cli`, and `wasi:io` of 0.2.

use serde_json::json;

use super::super::case::{Call, Section, TRAP, call, ok};
use super::{CONTENT, FILE, THREE, TWO, section};

const HOST: &str = "the host";
const MILLISECOND: u64 = 1_000_000;
/// In seconds since 1970: a moment that has passed.
const PASSED: u64 = 1_700_000_000;

pub fn sections() -> Vec<Section> {
    let mut sections = vec![
        section(TWO, HOST, two()),
        section(TWO, HOST, streams()),
        section(THREE, HOST, three()),
    ];
    for guest in [TWO, THREE] {
        for (function, argument, when) in [
            (
                "cli/exit#exit",
                ok(()),
                "with `ok`, before the guest has answered: 500",
            ),
            (
                "cli/exit#exit",
                json!({"err": null}),
                "with `err`, before the guest has answered: 500",
            ),
            (
                "cli/exit#exit-with-code",
                json!(3),
                "before the guest has answered: 500",
            ),
        ] {
            let calls = vec![call(function, json!([argument]), json!(TRAP)).when(when)];
            sections.push(section(guest, HOST, calls));
        }
    }
    sections
}

fn common() -> Vec<Call> {
    let bytes = json!({"bytes": 32, "differ": true});
    let differ = json!({"differ": true});
    vec![
        call("random/random#get-random-bytes", json!([32]), bytes.clone()),
        call(
            "random/random#get-random-bytes",
            json!([0]),
            json!({"bytes": 0, "differ": false}),
        )
        .when("no bytes are wanted"),
        call("random/random#get-random-u64", json!([]), differ.clone()),
        call("random/insecure#get-insecure-random-bytes", json!([32]), bytes),
        call("random/insecure#get-insecure-random-u64", json!([]), differ),
        call(
            "cli/environment#get-environment",
            json!([]),
            json!([["GREETING", "good day"]]),
        ),
        call("cli/environment#get-arguments", json!([]), json!([])),
        call("cli/terminal-stdin#get-terminal-stdin", json!([]), json!(false)),
        call("cli/terminal-stdout#get-terminal-stdout", json!([]), json!(false)),
        call("cli/terminal-stderr#get-terminal-stderr", json!([]), json!(false)),
    ]
}

fn two() -> Vec<Call> {
    let mut calls = vec![
        call("clocks/monotonic-clock#now", json!([]), json!(true)),
        call("clocks/monotonic-clock#resolution", json!([]), json!(1)),
        call(
            "clocks/monotonic-clock#subscribe-instant",
            json!([MILLISECOND]),
            json!(0),
        ),
        call(
            "clocks/monotonic-clock#subscribe-duration",
            json!([MILLISECOND]),
            json!(1),
        ),
        call(
            "clocks/monotonic-clock#subscribe-duration",
            json!([60_000 * MILLISECOND]),
            json!(2),
        ),
        call("io/poll#pollable.block", json!([0]), json!(null)),
        call("io/poll#pollable.block", json!([1]), json!(null)),
        call("io/poll#pollable.ready", json!([0]), json!(true)),
        call("io/poll#pollable.ready", json!([2]), json!(false)).when("it is not yet time"),
        call("io/poll#poll", json!([0, 2]), json!([0])),
        call("clocks/wall-clock#now", json!([PASSED]), json!(true)),
        call(
            "clocks/wall-clock#resolution",
            json!([]),
            json!({"seconds": 0, "nanoseconds": 1}),
        ),
        call(
            "random/insecure-seed#insecure-seed",
            json!([]),
            json!({"the same again": true}),
        ),
        call("cli/environment#initial-cwd", json!([]), json!(null)),
    ];
    calls.extend(common());
    calls
}

/// Of what a guest prints, and of a file.
fn streams() -> Vec<Call> {
    let nothing = || ok(());
    vec![
        call("filesystem/preopens#get-directories", json!([]), json!(["/"])),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], FILE, [], ["read"]]),
            ok(1),
        ),
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, 0]),
            ok(0),
        ),
        call("io/streams#input-stream.subscribe", json!([0]), json!(0)),
        call("io/poll#pollable.block", json!([0]), json!(null)),
        call("io/streams#input-stream.blocking-skip", json!([0, 2]), ok(2)),
        call(
            "io/streams#input-stream.blocking-read",
            json!([0, 3]),
            ok(&CONTENT[2..5]),
        ),
        call("io/streams#input-stream.read", json!([0, 0]), ok(json!([]))),
        call("io/streams#input-stream.skip", json!([0, 0]), ok(0)),
        call(
            "io/streams#input-stream.blocking-read",
            json!([0, 100]),
            ok(&CONTENT[5..]),
        ),
        call(
            "io/streams#input-stream.blocking-read",
            json!([0, 100]),
            json!({"err": "closed"}),
        )
        .when("the file has ended"),
        call("cli/stdin#get-stdin", json!([]), json!(1)),
        call(
            "io/streams#input-stream.blocking-read",
            json!([1, 1]),
            json!({"err": "closed"}),
        )
        .when("it is the standard input, which is empty"),
        call("cli/stdout#get-stdout", json!([]), json!(0)),
        call("cli/stderr#get-stderr", json!([]), json!(1)),
        call("io/streams#output-stream.subscribe", json!([0]), json!(1)),
        call("io/poll#pollable.block", json!([1]), json!(null)),
        call("io/streams#output-stream.check-write", json!([0]), ok("…")),
        call(
            "io/streams#output-stream.write",
            json!([0, "to the log\n"]),
            nothing(),
        ),
        call("io/streams#output-stream.flush", json!([0]), nothing()),
        call("io/streams#output-stream.blocking-flush", json!([0]), nothing()),
        call(
            "io/streams#output-stream.blocking-write-and-flush",
            json!([1, "to the log\n"]),
            nothing(),
        ),
        call("io/streams#output-stream.check-write", json!([1]), ok("…")),
        call("io/streams#output-stream.write-zeroes", json!([1, 2]), nothing()),
        call(
            "io/streams#output-stream.blocking-write-zeroes-and-flush",
            json!([1, 2]),
            nothing(),
        ),
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, 0]),
            ok(2),
        ),
        call(
            "io/streams#output-stream.blocking-splice",
            json!([0, 2, 4]),
            ok(4),
        ),
        call("io/streams#output-stream.blocking-flush", json!([0]), nothing()),
        call("io/streams#output-stream.splice", json!([0, 2, 4]), ok("…")),
        // What no file is long enough for.
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, u64::MAX]),
            ok(3),
        ),
        call(
            "io/streams#input-stream.blocking-read",
            json!([3, 1]),
            json!({"err": {"last-operation-failed": 0}}),
        )
        .when("the offset is too large"),
        call("io/error#error.to-debug-string", json!([0]), json!("…")),
        call(
            "filesystem/types#filesystem-error-code",
            json!([0]),
            json!("invalid"),
        ),
        call("http/types#http-error-code", json!([0]), json!(null)).when("the error is of a file"),
    ]
}

fn three() -> Vec<Call> {
    let mut calls = vec![
        call("clocks/monotonic-clock#now", json!([]), json!(true)),
        call("clocks/monotonic-clock#get-resolution", json!([]), json!(1)),
        call(
            "clocks/monotonic-clock#wait-until",
            json!([MILLISECOND]),
            json!(true),
        ),
        call(
            "clocks/monotonic-clock#wait-for",
            json!([MILLISECOND]),
            json!(true),
        ),
        call("clocks/system-clock#now", json!([PASSED]), json!(true)),
        call("clocks/system-clock#get-resolution", json!([]), json!(1)),
        call(
            "random/insecure-seed#get-insecure-seed",
            json!([]),
            json!({"the same again": true}),
        ),
        call("cli/environment#get-initial-cwd", json!([]), json!(null)),
        call("cli/stdin#read-via-stream", json!([]), json!(["", ok(())])),
        call("cli/stdout#write-via-stream", json!(["to the log\n"]), ok(())),
        call("cli/stderr#write-via-stream", json!(["to the log\n"]), ok(())),
    ];
    calls.extend(common());
    calls
}
