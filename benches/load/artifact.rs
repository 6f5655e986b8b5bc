//! Components, and image layouts that hold them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const REPOSITORY: &str = env!("CARGO_MANIFEST_DIR");
const LOCKED_APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";

/// A component that answers `hello` to everything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Hello {
    /// 7 KB, written by hand: `wasi:http` 0.2.
    Small,
    /// Spin's Rust SDK 5: `wasi:http` 0.2.
    Rust,
    /// Spin's Rust SDK 7: `wasi:http` 0.3.
    P3,
}

impl Hello {
    pub fn path(self) -> PathBuf {
        match self {
            Self::Small => guest_path("wat-hello"),
            Self::Rust => own_guest("hello5"),
            Self::P3 => own_guest("hello7"),
        }
    }

    pub fn bytes(self) -> Vec<u8> {
        read(&self.path())
    }
}

/// A guest of the tests.
pub fn guest(name: &str) -> Vec<u8> {
    read(&guest_path(name))
}

/// One that is too large to be committed: made by `tests/setup`, and `None` before it ran.
pub fn large_guest(name: &str) -> Option<Vec<u8>> {
    let named = std::env::var_os("LEPTON_GUESTS").map(PathBuf::from);
    let directory = named.or_else(|| Some(dirs::cache_dir()?.join("lepton-guests")))?;
    std::fs::read(directory.join("large").join(format!("{name}.wasm"))).ok()
}

fn guest_path(name: &str) -> PathBuf {
    format!("{REPOSITORY}/tests/guests/prebuilt/{name}.wasm").into()
}

/// See `benches/guests`.
fn own_guest(name: &str) -> PathBuf {
    format!("{REPOSITORY}/benches/guests/prebuilt/{name}.wasm").into()
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// A number as WebAssembly's binary format writes lengths.
pub fn leb128(mut number: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (number & 0x7f) as u8;
        number >>= 7;
        if number == 0 {
            bytes.push(low);
            return bytes;
        }
        bytes.push(low | 0x80);
    }
}

/// The same component with a custom section behind it: another digest, and nothing else that differs.
pub fn marked(component: &[u8], mark: u64) -> Vec<u8> {
    const CUSTOM: u8 = 0;
    const NAME: &[u8] = b"mark";
    let mark = mark.to_le_bytes();
    // Both lengths are below 128: one byte each.
    let length = 1 + NAME.len() + mark.len();
    let head = [CUSTOM, length as u8, NAME.len() as u8];
    [component, &head, NAME, &mark].concat()
}

/// Writes a layout with one app, as `v1`: a component behind every route, with what `metadata` grants. Returns the
/// reference that app files name it by.
pub fn pack(layout: &Path, component: &[u8], metadata: Value) -> String {
    let wasm = blob(layout, WASM, component);
    let locked = json!({
        "spin_lock_version": 0,
        "metadata": {"name": "guest", "triggers": {}},
        "triggers": [{"id": "http", "trigger_type": "http", "trigger_config": {"component": "guest", "route": "/..."}}],
        "components": [{
            "id": "guest",
            "metadata": metadata,
            "source": {"content_type": "application/wasm", "digest": wasm["digest"]},
        }],
    });
    let locked = blob(layout, LOCKED_APP, locked.to_string().as_bytes());
    let config =
        json!({"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(layout, CONFIG, config.to_string().as_bytes());
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [locked, wasm]});
    let mut manifest = blob(layout, MANIFEST, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    write(&layout.join("index.json"), index.to_string().as_bytes());
    write(&layout.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#);
    format!("oci:{}:v1", layout.display())
}

fn blob(layout: &Path, media_type: &str, content: &[u8]) -> Value {
    let hash = hex::encode(Sha256::digest(content));
    let directory = layout.join("blobs/sha256");
    std::fs::create_dir_all(&directory).expect("a writable directory");
    write(&directory.join(&hash), content);
    json!({"mediaType": media_type, "digest": format!("sha256:{hash}"), "size": content.len()})
}

fn write(path: &Path, content: &[u8]) {
    std::fs::write(path, content).expect("a writable directory");
}
