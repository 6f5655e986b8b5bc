//! Image layouts made on the spot, of any shape.

use std::path::Path;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::{Digest, Source};

pub(crate) struct LayoutDir(pub(crate) TempDir);

impl LayoutDir {
    pub(crate) fn new() -> LayoutDir {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("blobs/sha256")).unwrap();
        std::fs::write(dir.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        LayoutDir(dir)
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }

    /// Adds a blob and returns its descriptor.
    pub(crate) fn blob(&self, media_type: &str, bytes: &[u8]) -> Value {
        let digest = Digest::of(bytes);
        std::fs::write(self.path().join("blobs/sha256").join(digest.hex()), bytes).unwrap();
        json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
    }

    /// Adds a manifest and returns its descriptor.
    pub(crate) fn image(&self, config: &Value, layers: &[Value]) -> Value {
        let manifest = json!({"schemaVersion": 2, "config": config, "layers": layers});
        self.blob(
            "application/vnd.oci.image.manifest.v1+json",
            manifest.to_string().as_bytes(),
        )
    }

    /// Adds an index as a blob and returns its descriptor.
    pub(crate) fn nested(&self, entries: &[Value]) -> Value {
        let index = json!({"schemaVersion": 2, "manifests": entries});
        self.blob(
            "application/vnd.oci.image.index.v1+json",
            index.to_string().as_bytes(),
        )
    }

    /// Writes the layout's own index.
    pub(crate) fn index(&self, entries: &[Value]) {
        let index = json!({"schemaVersion": 2, "manifests": entries});
        std::fs::write(self.path().join("index.json"), index.to_string()).unwrap();
    }

    pub(crate) fn source(&self, tag: Option<&str>) -> Source {
        let tag = tag.map_or_else(String::new, |tag| format!(":{tag}"));
        Source::parse(&format!("oci:{}{tag}", self.path().display()), Path::new("/")).unwrap()
    }
}

pub(crate) fn tagged(mut entry: Value, tag: &str) -> Value {
    entry["annotations"] = json!({"org.opencontainers.image.ref.name": tag});
    entry
}

pub(crate) fn for_platform(mut entry: Value, os: &str, architecture: &str) -> Value {
    entry["platform"] = json!({"os": os, "architecture": architecture});
    entry
}

pub(crate) fn digest_of(entry: &Value) -> Digest {
    Digest::parse(entry["digest"].as_str().unwrap()).unwrap()
}
