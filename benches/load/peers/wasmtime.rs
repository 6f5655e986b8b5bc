//! `wasmtime serve`, with the flags that make it fastest here.

use std::process::Command;

use super::Peer;
use crate::artifact::Hello;

/// What the peer is called.
pub const NAME: &str = "wasmtime_serve";

/// Instances from a pool; what a request wrote is wiped instead of being given back to the kernel.
const POOL: [&str; 6] = [
    "-Opooling-allocator=y",
    "-Opooling-memory-keep-resident=2097152",
    "-Opooling-table-keep-resident=524288",
    "-Opooling-async-stack-keep-resident=65536",
    "-Opooling-max-unused-warm-slots=1000",
    "-Opooling-pagemap-scan=auto",
];
/// An instance of 0.3 is used for any number of requests, and for so many at once as it has by default: 4 and 64
/// were slower.
const REUSE: [&str; 4] = [
    "--max-instance-reuse-count",
    "1000000",
    "--max-instance-concurrent-reuse-count",
    "16",
];

/// From WASMTIME, or from PATH.
pub fn program() -> String {
    std::env::var("WASMTIME").unwrap_or_else(|_| "wasmtime".into())
}

pub fn start(hello: Hello) -> Option<Peer> {
    let peer = Peer::start(NAME, None, |address| {
        let mut command = Command::new(program());
        command.args(["serve", "-Scli"]).args(POOL);
        if hello == Hello::P3 {
            command.args(["-Sp3", "-Wcomponent-model-async"]).args(REUSE);
        }
        command.arg("--addr").arg(address.to_string()).arg(hello.path());
        command
    });
    if peer.is_none() {
        eprintln!("wasmtime is not installed: not measured");
    }
    peer
}
