//! Signatures in cosign's form: made by OpenSSL, as scenarios need them, and by cosign itself, to see that both mean the same.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::json;
use tempfile::TempDir;

use super::artifact::{Artifact, CONFIG, INDEX, MANIFEST, digest};
use super::client::{Connection, request};
use super::guests::cache;
use super::registry::Registry;

const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// Registries of scenarios have no TLS.
const HTTP: &str = "--allow-http-registry";
const IN_TOTO: &str = "application/vnd.in-toto+json";

/// Whoever releases apps: a key pair in files.
pub struct Signer {
    directory: TempDir,
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

impl Signer {
    pub fn new() -> Self {
        let signer = Self {
            directory: TempDir::new().expect("a temporary directory"),
        };
        openssl([
            "genpkey".as_ref(),
            "-algorithm".as_ref(),
            "EC".as_ref(),
            "-pkeyopt".as_ref(),
            "ec_paramgen_curve:P-256".as_ref(),
            "-out".as_ref(),
            signer.private_key().as_os_str(),
        ]);
        openssl([
            "pkey".as_ref(),
            "-in".as_ref(),
            signer.private_key().as_os_str(),
            "-pubout".as_ref(),
            "-out".as_ref(),
            signer.public_key().as_os_str(),
        ]);
        signer
    }

    /// What is given to whoever verifies.
    pub fn public_key(&self) -> PathBuf {
        self.directory.path().join("release.pub")
    }

    pub fn private_key(&self) -> PathBuf {
        self.directory.path().join("release.key")
    }

    /// The manifest of one signature, for an artifact that is said to be of that repository.
    pub fn sign(&self, artifact: &str, repository: &str) -> Artifact {
        let payload = json!({
            "critical": {
                "identity": {"docker-reference": repository},
                "image": {"docker-manifest-digest": artifact},
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let signature = self.signature(&payload);
        let config = json!({"architecture": "", "os": "", "config": {},
            "rootfs": {"type": "layers", "diff_ids": [digest(&payload)]}});
        let config = config.to_string().into_bytes();
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest(&config), "size": config.len()},
            "layers": [{
                "mediaType": "application/vnd.dev.cosign.simplesigning.v1+json",
                "digest": digest(&payload),
                "size": payload.len(),
                "annotations": {"dev.cosignproject.cosign/signature": STANDARD.encode(signature)},
            }],
        });
        Artifact {
            media_type: MANIFEST,
            manifest: manifest.to_string().into_bytes(),
            blobs: BTreeMap::from([(digest(&payload), payload), (digest(&config), config)]),
        }
    }

    /// Signs what is in a repository, as cosign 3 does in a registry that has no list of referrers.
    pub async fn sign_in_bundle(&self, registry: &Registry, repository: &str, artifact: &str) {
        let bundle = self.bundle(artifact);
        registry
            .push_artifact(&bundle, &format!("{repository}:bundle"))
            .await;
        let index = json!({
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [{
                "mediaType": MANIFEST,
                "digest": bundle.digest(),
                "size": bundle.manifest.len(),
                "artifactType": BUNDLE,
            }],
        });
        // Not by skopeo, which leaves `artifactType` out.
        let path = format!("/v2/{repository}/manifests/{}", artifact.replace(':', "-"));
        let body = Full::new(Bytes::from(index.to_string())).boxed();
        let mut put = request(Method::PUT, &path, body);
        put.headers_mut()
            .insert(CONTENT_TYPE, INDEX.parse().expect("a header's value"));
        let address = registry.host().parse().expect("an address");
        let mut registry = Connection::open(address).await.expect("the registry listens");
        let reply = registry.send(put).await.expect("the registry answers");
        assert_eq!(reply.status, StatusCode::CREATED, "{}", reply.text());
    }

    /// The manifest of a bundle, which does not name its repository.
    fn bundle(&self, artifact: &str) -> Artifact {
        let hex = artifact.strip_prefix("sha256:").expect("a sha256 digest");
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": [{"digest": {"sha256": hex}}],
            "predicateType": "https://sigstore.dev/cosign/sign/v1",
            "predicate": {},
        });
        let statement = statement.to_string();
        // DSSE's encoding of what is signed.
        let signed = format!(
            "DSSEv1 {} {IN_TOTO} {} {statement}",
            IN_TOTO.len(),
            statement.len()
        );
        let signature = self.signature(signed.as_bytes());
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": {"publicKey": {"hint": ""}},
            "dsseEnvelope": {
                "payload": STANDARD.encode(statement),
                "payloadType": IN_TOTO,
                "signatures": [{"sig": STANDARD.encode(signature)}],
            },
        });
        let (bundle, empty) = (bundle.to_string().into_bytes(), b"{}".to_vec());
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": BUNDLE,
            "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": digest(&empty), "size": empty.len()},
            "layers": [{"mediaType": BUNDLE, "digest": digest(&bundle), "size": bundle.len()}],
        });
        Artifact {
            media_type: MANIFEST,
            manifest: manifest.to_string().into_bytes(),
            blobs: [bundle, empty].map(|blob| (digest(&blob), blob)).into(),
        }
    }

    /// By OpenSSL, with its own private key.
    fn signature(&self, message: &[u8]) -> Vec<u8> {
        let file = self.directory.path().join("message");
        fs::write(&file, message).expect("a file");
        openssl([
            "dgst".as_ref(),
            "-sha256".as_ref(),
            "-sign".as_ref(),
            self.private_key().as_os_str(),
            file.as_os_str(),
        ])
    }

    /// Signs what is in a repository, as `cosign sign` does.
    pub async fn sign_in(&self, registry: &Registry, repository: &str, artifact: &str) {
        let signature = self.sign(artifact, &registry.reference(repository));
        registry
            .push_artifact(&signature, &format!("{repository}:{}", tag(artifact)))
            .await;
    }
}

/// The program, and a key pair of its own making.
pub struct Cosign(TempDir);

impl Cosign {
    pub async fn new() -> Self {
        let cosign = Self(TempDir::new().expect("a temporary directory"));
        cosign.run(&["generate-key-pair"]).await.expect("a key pair");
        cosign
    }

    pub fn public_key(&self) -> PathBuf {
        self.0.path().join("cosign.pub")
    }

    /// Signs `REPOSITORY@DIGEST` of a registry, where the signature is put.
    pub async fn sign(&self, reference: &str) {
        let log = "--tlog-upload=false";
        let signed = self
            .run(&["sign", "--key", "cosign.key", log, HTTP, "--yes", reference])
            .await;
        signed.expect("it is signed");
    }

    /// What is wrong with the signatures of `REPOSITORY@DIGEST`, by that key.
    pub async fn verify(&self, key: &Path, reference: &str) -> Result<(), String> {
        let key = key.to_str().expect("text");
        let log = "--insecure-ignore-tlog";
        self.run(&["verify", "--key", key, log, HTTP, reference]).await
    }

    /// It asks nobody but the registry.
    async fn run(&self, arguments: &[&str]) -> Result<(), String> {
        let output = tokio::process::Command::new(cache().join("servers/bin/cosign"))
            .args(arguments)
            .env("COSIGN_PASSWORD", "a password")
            .env("HOME", self.0.path())
            .current_dir(self.0.path())
            .output()
            .await;
        let output = output.expect("cosign is there: tests/setup brings it");
        match output.status.success() {
            true => Ok(()),
            false => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
        }
    }
}

/// Where cosign looks for the signatures of an artifact.
pub fn tag(artifact: &str) -> String {
    format!("{}.sig", artifact.replace(':', "-"))
}

fn openssl<'a>(arguments: impl IntoIterator<Item = &'a OsStr>) -> Vec<u8> {
    let output = Command::new("openssl").args(arguments).output();
    let output = output.expect("openssl is installed: tests/setup brings it");
    assert!(
        output.status.success(),
        "openssl: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}
