//! Apps packed as each generation of Spin pushes them (docs/contract/oci.md §2, §10).

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::app::{App, Component};

const LOCKED_APP: &str = "application/vnd.fermyon.spin.application.v1+config";
const WASM: &str = "application/vnd.wasm.content.layer.v1+wasm";
const DATA: &str = "application/vnd.wasm.content.layer.v1+data";
const ARCHIVE: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Content up to this size stands in the locked app itself, in bytes (docs/contract/oci.md §1).
const INLINE_MAX: usize = 128;

/// Who packed it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// 1.0 to 1.4: the locked app is the config blob.
    Spin1,
    /// 1.5: the same, with small files inline and in layers too.
    Spin1Inline,
    /// 2.0 to 2.3: the locked app is a layer.
    Spin2,
    /// The same, with the files of a component in one archive.
    Archive,
    /// 2.7 and later: labels and annotations.
    Spin4,
}

impl Shape {
    pub const ALL: [Shape; 5] = [
        Shape::Spin1,
        Shape::Spin1Inline,
        Shape::Spin2,
        Shape::Archive,
        Shape::Spin4,
    ];

    fn is_first_generation(self) -> bool {
        matches!(self, Shape::Spin1 | Shape::Spin1Inline)
    }
}

/// An artifact: its manifest, and every blob that it names.
#[derive(Debug, Clone)]
pub struct Artifact {
    pub media_type: &'static str,
    pub manifest: Vec<u8>,
    pub blobs: BTreeMap<String, Vec<u8>>,
}

/// `sha256:…` of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

impl Artifact {
    /// Of the manifest.
    pub fn digest(&self) -> String {
        digest(&self.manifest)
    }

    /// A Spin app.
    pub fn of(app: &App, shape: Shape) -> Self {
        let mut packer = Packer::default();
        let locked = packer.locked_app(app, shape);
        let locked = serde_json::to_vec(&locked).expect("JSON");
        let (config, annotations) = if shape.is_first_generation() {
            (packer.blob(LOCKED_APP, locked), None)
        } else {
            let locked = packer.layer(LOCKED_APP, locked);
            let labels = json!({"Labels": {"com.fermyon.spin.lockedAppDigest": locked}});
            let mut config =
                json!({"architecture": "wasm", "os": "wasip1", "rootfs": {"type": "layers", "diff_ids": []}});
            let mut annotations = None;
            if shape == Shape::Spin4 {
                config["config"] = labels;
                annotations = Some(json!({"org.opencontainers.image.title": app.name}));
            }
            (
                packer.blob(CONFIG, serde_json::to_vec(&config).expect("JSON")),
                annotations,
            )
        };
        packer.finish(config, annotations)
    }

    /// A Wasm OCI artifact: one layer and no locked app.
    pub fn plain_wasm(wasm: &[u8]) -> Self {
        let mut packer = Packer::default();
        let layer = packer.layer("application/wasm", wasm.to_vec());
        let config = json!({"architecture": "wasm", "os": "wasip2", "layerDigests": [layer]});
        let config = packer.blob(
            "application/vnd.wasm.config.v0+json",
            serde_json::to_vec(&config).expect("JSON"),
        );
        packer.finish(config, None)
    }

    /// An index whose only entry is this artifact, for the platform `os`/`architecture`.
    pub fn in_index(self, os: &str, architecture: &str) -> Self {
        let entry = json!({
            "mediaType": MANIFEST, "digest": self.digest(), "size": self.manifest.len(),
            "platform": {"os": os, "architecture": architecture},
        });
        let index = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]});
        let mut blobs = self.blobs;
        blobs.insert(digest(&self.manifest), self.manifest);
        Self {
            media_type: INDEX,
            manifest: serde_json::to_vec(&index).expect("JSON"),
            blobs,
        }
    }

    /// The same with one byte of the largest blob changed: its digest is wrong.
    pub fn damaged(mut self) -> Self {
        let largest = self
            .blobs
            .values_mut()
            .max_by_key(|blob| blob.len())
            .expect("a blob");
        let middle = largest.len() / 2;
        largest[middle] ^= 1;
        self
    }
}

#[derive(Default)]
struct Packer {
    layers: Vec<Value>,
    blobs: BTreeMap<String, Vec<u8>>,
}

impl Packer {
    fn blob(&mut self, media_type: &str, content: Vec<u8>) -> Value {
        let name = digest(&content);
        let descriptor = json!({"mediaType": media_type, "digest": name, "size": content.len()});
        self.blobs.insert(name, content);
        descriptor
    }

    fn layer(&mut self, media_type: &str, content: Vec<u8>) -> String {
        let descriptor = self.blob(media_type, content);
        let name = descriptor["digest"].as_str().expect("a string").to_string();
        if !self.layers.contains(&descriptor) {
            self.layers.push(descriptor);
        }
        name
    }

    fn finish(self, config: Value, annotations: Option<Value>) -> Artifact {
        // As Spin writes it: without a `mediaType` of its own.
        let mut manifest = json!({"schemaVersion": 2, "config": config, "layers": self.layers});
        if let Some(annotations) = annotations {
            manifest["annotations"] = annotations;
        }
        let manifest = serde_json::to_vec(&manifest).expect("JSON");
        Artifact {
            media_type: MANIFEST,
            manifest,
            blobs: self.blobs,
        }
    }

    fn locked_app(&mut self, app: &App, shape: Shape) -> Value {
        let components: Vec<_> = app
            .components
            .iter()
            .map(|it| self.component(it, shape))
            .collect();
        let chained = app
            .components
            .iter()
            .any(|component| component.members.contains_key("host_requirements"));
        let mut metadata = json!({"name": app.name, "version": app.version});
        if let Some((kind, _)) = app.triggers.first() {
            metadata["trigger"] = json!({"type": kind});
        }
        if shape.is_first_generation() {
            metadata["trigger"]["base"] = "/".into();
        } else {
            metadata["triggers"] = app.trigger_metadata.clone().into();
        }
        let triggers = app.triggers.iter().enumerate().map(|(n, (kind, config))| {
            let id = match (&config["component"], shape.is_first_generation()) {
                (Value::String(component), true) => format!("trigger--{component}"),
                _ => format!("{kind}-trigger{}", n + 1),
            };
            json!({"id": id, "trigger_type": kind, "trigger_config": config})
        });
        let triggers: Vec<_> = triggers.collect();
        let mut locked = json!({
            "spin_lock_version": u8::from(chained),
            "metadata": metadata,
            "triggers": triggers,
            "components": components,
        });
        if chained {
            locked["must_understand"] = json!(["component_host_requirements"]);
        }
        if !app.variables.is_empty() {
            locked["variables"] = app.variables.clone().into();
        }
        locked
    }

    fn component(&mut self, component: &Component, shape: Shape) -> Value {
        let mut locked = Map::new();
        locked.insert("id".into(), component.id.clone().into());
        let source = self.layer(WASM, component.wasm.clone());
        locked.insert(
            "source".into(),
            json!({"content_type": "application/wasm", "digest": source}),
        );
        locked.extend(component.members.clone());
        let dependencies: Map<_, _> = component
            .dependencies
            .iter()
            .map(|(name, wasm)| {
                let source = self.layer(WASM, wasm.clone());
                let source = json!({"content_type": "application/wasm", "digest": source});
                (
                    name.clone(),
                    json!({"source": source, "export": null, "inherit": {"Some": []}}),
                )
            })
            .collect();
        if !dependencies.is_empty() {
            locked.insert("dependencies".into(), dependencies.into());
        }
        if shape == Shape::Archive && !component.files.is_empty() {
            let archive = archive(&component.files);
            self.layer(ARCHIVE, archive);
        }
        let files: Vec<_> = component
            .files
            .iter()
            .map(|(path, content)| self.file(path, content, shape))
            .collect();
        if !files.is_empty() {
            locked.insert("files".into(), files.into());
        }
        locked.into()
    }

    fn file(&mut self, path: &str, content: &[u8], shape: Shape) -> Value {
        let mut entry = json!({"path": path, "digest": digest(content)});
        let small = content.len() <= INLINE_MAX && shape != Shape::Spin1;
        if small {
            entry["inline"] = STANDARD_NO_PAD.encode(content).into();
        }
        let in_a_layer = shape.is_first_generation() || (!small && shape != Shape::Archive);
        if in_a_layer {
            self.layer(DATA, content.to_vec());
        }
        entry
    }
}

/// A gzipped tar of the files, under names that mean nothing to a host.
fn archive(files: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, path, content.as_slice())
            .expect("memory takes it");
    }
    builder
        .into_inner()
        .and_then(GzEncoder::finish)
        .expect("memory takes it")
}
