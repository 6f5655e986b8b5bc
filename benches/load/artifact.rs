//! Guests of the tests in image layouts.

use std::path::Path;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::daemon::{App, Daemon, free_address};

const GUESTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/guests/prebuilt");
const LOCKED_APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// The guest behind every route, with what `metadata` grants.
pub fn app(daemon: &Daemon, guest: &str, metadata: Value) -> App {
    let layout = daemon.directory(guest);
    let wasm = std::fs::read(format!("{GUESTS}/{guest}.wasm")).expect("tests/guests/build makes it");
    let wasm = blob(&layout, WASM, &wasm);
    let locked = json!({
        "spin_lock_version": 0,
        "metadata": {"name": guest, "triggers": {}},
        "triggers": [{"id": "http", "trigger_type": "http", "trigger_config": {"component": guest, "route": "/..."}}],
        "components": [{
            "id": guest,
            "metadata": metadata,
            "source": {"content_type": "application/wasm", "digest": wasm["digest"]},
        }],
    });
    let locked = blob(&layout, LOCKED_APP, locked.to_string().as_bytes());
    let config =
        json!({"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": []}});
    let config = blob(
        &layout,
        "application/vnd.oci.image.config.v1+json",
        config.to_string().as_bytes(),
    );
    let manifest = json!({"schemaVersion": 2, "config": config, "layers": [locked, wasm]});
    let mut manifest = blob(&layout, MANIFEST, manifest.to_string().as_bytes());
    manifest["annotations"] = json!({"org.opencontainers.image.ref.name": "v1"});
    let index = json!({"schemaVersion": 2, "manifests": [manifest]});
    write(&layout.join("index.json"), index.to_string().as_bytes());
    write(&layout.join("oci-layout"), br#"{"imageLayoutVersion": "1.0.0"}"#);
    let address = free_address();
    let reference = format!("oci:{}:v1", layout.display());
    App {
        json: json!({"reference": reference, "address": address.to_string()}).to_string(),
        address,
    }
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
