//! The guests' bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// A guest of `tests/guests/prebuilt`, by its file's stem.
pub fn guest(name: &str) -> Vec<u8> {
    read(
        repository()
            .join("tests/guests/prebuilt")
            .join(format!("{name}.wasm")),
        "tests/guests/build",
    )
}

/// A guest that is too large to be committed: made by `tests/setup`.
pub fn large_guest(name: &str) -> Vec<u8> {
    read(cache().join("large").join(format!("{name}.wasm")), "tests/setup")
}

/// Where `tests/setup` puts what is not committed.
pub fn cache() -> PathBuf {
    let named = std::env::var_os("LEPTON_GUESTS").map(PathBuf::from);
    named.unwrap_or_else(|| {
        dirs::cache_dir()
            .expect("the user has a cache directory")
            .join("lepton-guests")
    })
}

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where cargo keeps the source of a crate that a guest depends on, by the beginning of its version.
pub fn source(name: &str, version: &str) -> PathBuf {
    let output = Command::new(env!("CARGO"))
        .args([
            "metadata",
            "--offline",
            "--locked",
            "--format-version",
            "1",
            "--manifest-path",
        ])
        .arg(repository().join("tests/guests/Cargo.toml"))
        .output()
        .expect("cargo can be run");
    assert!(
        output.status.success(),
        "tests/setup fetches what the guests depend on: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let packages = metadata["packages"].as_array().expect("packages");
    let is_wanted = |package: &&Value| {
        let have = package["version"].as_str().unwrap_or_default();
        package["name"] == name && have.starts_with(version)
    };
    let package = packages.iter().find(is_wanted);
    let manifest = package.unwrap_or_else(|| panic!("a guest depends on {name} {version}"))["manifest_path"]
        .as_str()
        .expect("a path");
    Path::new(manifest)
        .parent()
        .expect("it is in a directory")
        .to_owned()
}

fn read(path: PathBuf, maker: &str) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; {maker} makes it", path.display()))
}
