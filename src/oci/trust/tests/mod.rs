//! What the tests of the policy have in common.

mod bundles;
mod documents;
mod keys;
mod layouts;
mod references;

use std::path::Path;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::testing::config;
use super::super::testing::layout::{LayoutDir, digest_of, tagged};
use super::super::{Digest, PullerConfig, manifest};
use super::{Policy, TrustedKeys};

pub(super) const REPOSITORY: &str = "ghcr.io/acme/app";
pub(super) const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
pub(super) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(super) const SIGN: &str = "https://sigstore.dev/cosign/sign/v1";
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// Signatures by OpenSSL, and keys that are of no use; the commands stand beside them.
#[derive(Deserialize)]
pub(super) struct Made {
    pub(super) payload: String,
    pub(super) signatures: Vec<MadeSignature>,
    pub(super) refused: std::collections::BTreeMap<String, String>,
}

#[derive(Deserialize)]
pub(super) struct MadeSignature {
    pub(super) made: String,
    pub(super) key: String,
    pub(super) signature: String,
}

pub(super) fn made() -> Made {
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/fixtures/trust/signatures.json"
    );
    serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
}

pub(super) fn trusted(name: &str, pem: &str) -> TrustedKeys {
    TrustedKeys::parse(None, Path::new(name), pem.as_bytes()).unwrap()
}

/// Who signs in these tests.
pub(super) struct Signer(pub(super) EcdsaKeyPair);

impl Signer {
    pub(super) fn new() -> Self {
        Self(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap())
    }

    pub(super) fn trusted(&self, name: &str) -> TrustedKeys {
        let der: PublicKeyX509Der<'_> = self.0.public_key().as_der().unwrap();
        let pem = format!(
            "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        trusted(name, &pem)
    }

    /// The layer of a signature of `signed`, with that payload beside it.
    pub(super) fn layer(&self, layout: &LayoutDir, signed: &str, payload: &str) -> Value {
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        let mut layer = layout.blob(SIMPLE_SIGNING, payload.as_bytes());
        layer["annotations"] = json!({"dev.cosignproject.cosign/signature": STANDARD.encode(signature)});
        layer
    }

    pub(super) fn signature(&self, layout: &LayoutDir, digest: &Digest, name: &str) -> Value {
        let payload = document(digest, name);
        self.layer(layout, &payload, &payload)
    }
}

pub(super) fn document(digest: &Digest, name: &str) -> String {
    json!({"critical": {"identity": {"docker-reference": name}, "image": {"docker-manifest-digest": digest},
        "type": "cosign container image signature"}, "optional": null})
    .to_string()
}

pub(super) fn statement(digest: &Digest, predicate: &str) -> Value {
    json!({"_type": "https://in-toto.io/Statement/v1", "subject": [{"digest": {"sha256": digest.hex()}}],
        "predicateType": predicate, "predicate": {}})
}

/// A layout with an app as `v1`, and its digest.
pub(super) fn app() -> (LayoutDir, Digest, Value) {
    let layout = LayoutDir::new();
    let locked = br#"{"spin_lock_version": 0, "components": []}"#;
    let layers = [layout.blob(manifest::LOCKED_APP, locked)];
    let entry = layout.image(&layout.blob(CONFIG, b"{}"), &layers);
    layout.index(&[tagged(entry.clone(), "v1")]);
    (layout, digest_of(&entry), entry)
}

pub(super) fn policy(keys: Vec<TrustedKeys>) -> PullerConfig {
    let policy = Policy {
        keys,
        identities: vec!["ghcr.io/acme".parse().unwrap()],
        ..Policy::default()
    };
    PullerConfig { policy, ..config() }
}
