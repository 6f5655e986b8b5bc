//! `wasi:filesystem`: an app's files, which are mounted for reading.

use serde_json::{Value, json};

use super::super::case::{Call, Section, call, err, ok};
use super::{CONTENT, FILE, THREE, TWO, section};

const MOUNTED: &str = "mounted files";
/// Why it is refused: a reason of the contract's (docs/contract/host-interfaces.md §7.1).
const READ_ONLY: &str = "files are mounted for reading only";

pub fn sections() -> Vec<Section> {
    vec![section(TWO, MOUNTED, two()), section(THREE, MOUNTED, three())]
}

/// What both generations have, by the same names.
fn common(rejected: Value) -> Vec<Call> {
    let refused = |function, arguments| call(function, arguments, rejected.clone()).when(READ_ONLY);
    let stat = |kind: &str, size: Value| {
        ok(json!({
            "type": kind, "link-count": "…", "size": size, "data-access-timestamp": "…",
            "data-modification-timestamp": "…", "status-change-timestamp": "…",
        }))
    };
    vec![
        call("filesystem/preopens#get-directories", json!([]), json!(["/"])),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, ["symlink-follow"], FILE, [], ["read"]]),
            ok(1),
        ),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], "data", ["directory"], ["read"]]),
            ok(2),
        ),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], "missing", [], ["read"]]),
            err("no-entry"),
        )
        .when("there is no such file"),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], "../x", [], ["read"]]),
            err("not-permitted"),
        )
        .when("the path leaves the directory"),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], "/etc/passwd", [], ["read"]]),
            err("not-permitted"),
        )
        .when("the path is absolute"),
        call(
            "filesystem/types#descriptor.open-at",
            json!([0, [], FILE, ["directory"], ["read"]]),
            err("not-directory"),
        )
        .when("a directory is wanted and it is a file"),
        refused(
            "filesystem/types#descriptor.open-at",
            json!([0, [], FILE, [], ["read", "write"]]),
        ),
        refused(
            "filesystem/types#descriptor.open-at",
            json!([0, [], "new", ["create"], ["write"]]),
        ),
        refused(
            "filesystem/types#descriptor.open-at",
            json!([0, [], FILE, ["truncate"], ["write"]]),
        ),
        call(
            "filesystem/types#descriptor.advise",
            json!([1, 0, 4, "sequential"]),
            ok(()),
        ),
        call(
            "filesystem/types#descriptor.get-flags",
            json!([1]),
            ok(json!(["read"])),
        ),
        call(
            "filesystem/types#descriptor.get-type",
            json!([1]),
            ok("regular-file"),
        ),
        call(
            "filesystem/types#descriptor.get-type",
            json!([0]),
            ok("directory"),
        ),
        call(
            "filesystem/types#descriptor.stat",
            json!([1]),
            stat("regular-file", json!(CONTENT.len())),
        ),
        call(
            "filesystem/types#descriptor.stat-at",
            json!([0, [], "data"]),
            stat("directory", json!("…")),
        ),
        call(
            "filesystem/types#descriptor.is-same-object",
            json!([1, 1]),
            json!(true),
        ),
        call(
            "filesystem/types#descriptor.is-same-object",
            json!([1, 0]),
            json!(false),
        ),
        call("filesystem/types#descriptor.metadata-hash", json!([1]), ok(true)),
        call(
            "filesystem/types#descriptor.metadata-hash-at",
            json!([0, [], FILE]),
            ok(true),
        ),
        call(
            "filesystem/types#descriptor.readlink-at",
            json!([0, FILE]),
            err("invalid"),
        )
        .when("it is no link"),
        call("filesystem/types#descriptor.sync", json!([1]), ok(())),
        call("filesystem/types#descriptor.sync-data", json!([1]), ok(())),
        refused("filesystem/types#descriptor.set-size", json!([1, 1])),
        refused(
            "filesystem/types#descriptor.set-times",
            json!([1, "now", "no-change"]),
        ),
        refused(
            "filesystem/types#descriptor.set-times-at",
            json!([0, [], FILE, "now", "no-change"]),
        ),
        refused(
            "filesystem/types#descriptor.create-directory-at",
            json!([0, "new"]),
        ),
        refused(
            "filesystem/types#descriptor.link-at",
            json!([0, [], FILE, 0, "new"]),
        ),
        refused(
            "filesystem/types#descriptor.remove-directory-at",
            json!([0, "data"]),
        ),
        refused(
            "filesystem/types#descriptor.rename-at",
            json!([0, FILE, 0, "new"]),
        ),
        refused("filesystem/types#descriptor.symlink-at", json!([0, FILE, "new"])),
        refused("filesystem/types#descriptor.unlink-file-at", json!([0, FILE])),
    ]
}

fn two() -> Vec<Call> {
    let mut calls = common(err("not-permitted"));
    let rejected = || err("not-permitted");
    calls.extend([
        call(
            "filesystem/types#descriptor.read",
            json!([1, 100, 0]),
            ok(json!([CONTENT, false])),
        ),
        call(
            "filesystem/types#descriptor.read",
            json!([1, 100, 100]),
            ok(json!(["", true])),
        )
        .when("after the end"),
        call(
            "filesystem/types#descriptor.read",
            json!([0, 100, 0]),
            err("bad-descriptor"),
        )
        .when("it is a directory"),
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, 5]),
            ok(0),
        ),
        call(
            "io/streams#input-stream.blocking-read",
            json!([0, 100]),
            ok(&CONTENT[5..]),
        ),
        call("filesystem/types#descriptor.read-directory", json!([0]), ok(0)),
        call(
            "filesystem/types#directory-entry-stream.read-directory-entry",
            json!([0]),
            ok(json!({"type": "directory", "name": "data"})),
        ),
        call(
            "filesystem/types#directory-entry-stream.read-directory-entry",
            json!([0]),
            ok(()),
        )
        .when("there are no more"),
        call(
            "filesystem/types#descriptor.write",
            json!([1, "x", 0]),
            rejected(),
        )
        .when(READ_ONLY),
        call(
            "filesystem/types#descriptor.write-via-stream",
            json!([1, 0]),
            rejected(),
        )
        .when(READ_ONLY),
        call(
            "filesystem/types#descriptor.append-via-stream",
            json!([1]),
            rejected(),
        )
        .when(READ_ONLY),
    ]);
    calls
}

fn three() -> Vec<Call> {
    let mut calls = common(err("not-permitted"));
    let rejected = || err("not-permitted");
    calls.extend([
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, 0]),
            json!([CONTENT, ok(())]),
        ),
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([1, 100]),
            json!(["", ok(())]),
        )
        .when("after the end"),
        call(
            "filesystem/types#descriptor.read-via-stream",
            json!([0, 0]),
            json!(["", err("is-directory")]),
        )
        .when("it is a directory"),
        call(
            "filesystem/types#descriptor.read-directory",
            json!([0]),
            json!([[{"type": "directory", "name": "data"}], ok(())]),
        ),
        call(
            "filesystem/types#descriptor.write-via-stream",
            json!([1, "x", 0]),
            rejected(),
        )
        .when(READ_ONLY),
        call(
            "filesystem/types#descriptor.append-via-stream",
            json!([1, "x"]),
            rejected(),
        )
        .when(READ_ONLY),
    ]);
    calls
}
