//! Manifests and indexes, read leniently: what every Spin and other tools push (`docs/contract/oci.md` §2).

use std::collections::BTreeMap;
use std::collections::HashSet;

use serde::Deserialize;

use super::digest::Digest;
use super::error::OciError;

/// The locked app: a layer since Spin 2.0, the config blob before.
pub(crate) const LOCKED_APP: &str = "application/vnd.fermyon.spin.application.v1+config";
/// A gzipped tar of asset files.
pub(crate) const ARCHIVE: &str = "application/vnd.wasm.content.bundle.v1.tar+gzip";
/// Wasm, as pushed by Spin and by the Wasm package tools.
pub(crate) const WASM: [&str; 2] = ["application/vnd.wasm.content.layer.v1+wasm", "application/wasm"];
/// What a registry is asked for.
pub(crate) const ACCEPT: &str = concat!(
    "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, ",
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json"
);
/// The type of a configuration that says nothing, as in manifests that are no images.
const EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// Operating systems and architectures that mean Wasm, in lower case; tools differ in how they spell them.
const WASM_PLATFORMS: [&str; 7] = ["wasi", "wasip1", "wasip2", "wasip3", "wasm", "wasm32", "wasm64"];

/// What a manifest's bytes turned out to be.
#[derive(Debug)]
pub(crate) enum Manifest {
    Image(Image),
    Index(Index),
}

#[derive(Debug)]
pub(crate) struct Image {
    pub(crate) config: Descriptor,
    /// In order, each once, though Spin before 2.5 repeats descriptors.
    pub(crate) layers: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Index {
    pub(crate) manifests: Vec<Descriptor>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    #[serde(default)]
    pub(crate) media_type: String,
    pub(crate) digest: Digest,
    /// Bytes.
    pub(crate) size: u64,
    #[serde(default)]
    platform: Option<Platform>,
    #[serde(default)]
    annotations: Option<BTreeMap<String, String>>,
    /// Of a manifest that refers to another: what it is.
    #[serde(default)]
    artifact_type: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
struct Platform {
    #[serde(default)]
    os: String,
    #[serde(default)]
    architecture: String,
}

/// The members of both kinds; which are there decides, since Spin writes no `mediaType`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: u32,
    config: Option<Descriptor>,
    layers: Option<Vec<Descriptor>>,
    manifests: Option<Vec<Descriptor>>,
}

impl Manifest {
    /// Reads a manifest; `what` names it in errors.
    pub(crate) fn parse(bytes: &[u8], what: &str) -> Result<Manifest, OciError> {
        let bad = |reason: String| OciError::BadManifest {
            what: what.to_owned(),
            reason,
        };
        let raw: Raw =
            serde_json::from_slice(bytes).map_err(|e| bad(format!("it is not an OCI manifest ({e})")))?;
        if raw.schema_version != 2 {
            return Err(bad(format!(
                "its schemaVersion is {}; only 2 is supported",
                raw.schema_version
            )));
        }
        match raw {
            // Two readers could understand it differently: which one is meant is not ours to guess.
            Raw {
                manifests: Some(_),
                layers: Some(_),
                ..
            } => Err(bad("it has both \"manifests\" and \"layers\"".to_owned())),
            Raw {
                manifests: Some(manifests),
                ..
            } => Ok(Manifest::Index(Index { manifests })),
            Raw {
                config: Some(config),
                layers,
                ..
            } => {
                let mut seen = HashSet::new();
                let mut layers = layers.unwrap_or_default();
                layers.retain(|layer| seen.insert((layer.digest, layer.media_type.clone())));
                Ok(Manifest::Image(Image { config, layers }))
            }
            _ => Err(bad(
                "it has neither \"config\" and \"layers\" nor \"manifests\"".to_owned()
            )),
        }
    }
}

impl Image {
    /// The layer that holds the locked app, if its type says so.
    pub(crate) fn locked_app(&self) -> Option<&Descriptor> {
        self.layers.iter().find(|layer| layer.media_type == LOCKED_APP)
    }
}

impl Index {
    /// The entry to run: one for Wasm, else the only one.
    pub(crate) fn choose(&self, what: &str) -> Result<&Descriptor, OciError> {
        let images: Vec<&Descriptor> = self
            .manifests
            .iter()
            .filter(|entry| !entry.is_attestation())
            .collect();
        if let Some(wasm) = images.iter().find(|entry| entry.is_wasm()) {
            return Ok(wasm);
        }
        match images.as_slice() {
            [only] => Ok(only),
            [] => Err(OciError::BadManifest {
                what: what.to_owned(),
                reason: "its index is empty".to_owned(),
            }),
            several => {
                let platforms: Vec<String> = several.iter().map(|entry| entry.platform_name()).collect();
                let reason = format!(
                    "none of its platforms is a Wasm one (it has {}); name the manifest by its digest",
                    platforms.join(", ")
                );
                Err(OciError::BadManifest {
                    what: what.to_owned(),
                    reason,
                })
            }
        }
    }
}

impl Descriptor {
    pub(crate) fn annotation(&self, name: &str) -> Option<&str> {
        self.annotations.as_ref()?.get(name).map(String::as_str)
    }

    /// Whether it may be a manifest of that type: some registries leave the type out, and cosign 3, which writes the list
    /// itself where a registry has none, puts the type of the empty configuration in its place.
    pub(crate) fn may_refer_as(&self, kind: &str) -> bool {
        self.artifact_type
            .as_ref()
            .is_none_or(|own| own == kind || own == EMPTY)
    }

    fn is_wasm(&self) -> bool {
        self.platform.as_ref().is_some_and(|platform| {
            [&platform.os, &platform.architecture]
                .iter()
                .any(|name| WASM_PLATFORMS.contains(&name.to_ascii_lowercase().as_str()))
        })
    }

    /// Build tools put proofs of origin beside the images.
    fn is_attestation(&self) -> bool {
        self.annotation("vnd.docker.reference.type").is_some()
    }

    fn platform_name(&self) -> String {
        match &self.platform {
            Some(platform) => format!("{}/{}", platform.os, platform.architecture),
            None => "one that is not named".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn descriptor(content: &str) -> Value {
        json!({"mediaType": "application/wasm", "digest": Digest::of(content.as_bytes()), "size": content.len()})
    }

    fn entry(content: &str, os: &str, architecture: &str) -> Value {
        let mut entry = descriptor(content);
        entry["platform"] = json!({"os": os, "architecture": architecture});
        entry
    }

    fn parse(value: &Value) -> Result<Manifest, OciError> {
        Manifest::parse(value.to_string().as_bytes(), "ghcr.io/a/b:v1")
    }

    fn choose(entries: Vec<Value>) -> Result<Digest, String> {
        let Manifest::Index(index) = parse(&json!({"schemaVersion": 2, "manifests": entries})).unwrap()
        else {
            panic!("not an index")
        };
        index
            .choose("ghcr.io/a/b:v1")
            .map(|entry| entry.digest)
            .map_err(|e| e.to_string())
    }

    #[test]
    fn a_manifest_without_media_type_is_an_image_and_repeated_layers_count_once() {
        let manifest = json!({"schemaVersion": 2, "config": descriptor("c"),
            "layers": [descriptor("a"), descriptor("a"), descriptor("b")]});
        let Manifest::Image(image) = parse(&manifest).unwrap() else {
            panic!("not an image")
        };
        assert_eq!(image.layers.len(), 2);
        assert!(image.locked_app().is_none());
    }

    #[test]
    fn a_wasm_platform_is_preferred_however_it_is_spelled() {
        for (os, architecture) in [
            ("wasip1", "wasm"),
            ("Wasip2", "wasm"),
            ("wasi", "wasm32"),
            ("linux", "wasm"),
        ] {
            let entries = vec![entry("x", "linux", "amd64"), entry("w", os, architecture)];
            assert_eq!(choose(entries), Ok(Digest::of(b"w")), "{os}/{architecture}");
        }
    }

    #[test]
    fn the_only_entry_is_taken_and_proofs_of_origin_do_not_count() {
        let mut proof = entry("p", "unknown", "unknown");
        proof["annotations"] = json!({"vnd.docker.reference.type": "attestation-manifest"});
        assert_eq!(
            choose(vec![proof, entry("x", "linux", "amd64")]),
            Ok(Digest::of(b"x"))
        );
    }

    #[test]
    fn several_platforms_without_wasm_are_listed() {
        let message = choose(vec![entry("x", "linux", "amd64"), entry("y", "linux", "arm64")]).unwrap_err();
        assert!(message.contains("linux/amd64, linux/arm64"), "{message}");
        assert!(choose(vec![]).unwrap_err().contains("empty"));
    }

    #[test]
    fn what_is_not_a_manifest_says_why() {
        for (manifest, word) in [
            (json!({"schemaVersion": 1, "fsLayers": []}), "schemaVersion is 1"),
            (json!({"schemaVersion": 2}), "neither"),
            (json!({"schemaVersion": 2, "manifests": [], "layers": []}), "both"),
            (
                json!({"schemaVersion": 2, "config": {"digest": "sha512:00", "size": 1}, "layers": []}),
                "sha256",
            ),
            (json!([1]), "not an OCI manifest"),
        ] {
            let message = parse(&manifest).unwrap_err().to_string();
            assert!(message.contains(word), "{message}");
        }
    }
}
