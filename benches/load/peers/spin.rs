//! `spin up`, as it is.

use std::process::Command;

use serde_json::json;
use tempfile::TempDir;

use super::Peer;
use crate::artifact::Hello;

/// From SPIN, if that is set.
pub fn start(hello: Hello) -> Option<Peer> {
    let program = std::env::var_os("SPIN")?;
    let directory = TempDir::new().expect("a temporary directory");
    let manifest = directory.path().join("spin.toml");
    std::fs::write(&manifest, self::manifest(hello)).expect("a writable directory");
    let mut command = Command::new(program);
    command.args(["up", "--quiet", "--from"]).arg(&manifest);
    command.current_dir(directory.path());
    Peer::start("spin_up", Some(directory), |address| {
        command.arg("--listen").arg(address.to_string());
        command
    })
}

fn manifest(hello: Hello) -> String {
    let manifest = json!({
        "spin_manifest_version": 2,
        "application": {"name": "hello"},
        "trigger": {"http": [{"route": "/...", "component": "hello"}]},
        "component": {"hello": {"source": hello.path()}},
    });
    toml::to_string(&manifest).expect("TOML")
}
