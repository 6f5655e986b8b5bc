//! Bundles in a registry, through the puller.

use std::collections::BTreeMap;
use std::path::Path;

use aws_lc_rs::rand::SystemRandom;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::super::testing::layout::LayoutDir;
use super::super::super::testing::puller;
use super::super::super::testing::stub::{Stub, ok, status};
use super::super::super::{Digest, Puller, Source};
use super::super::signature::envelope;
use super::{BUNDLE, CONFIG, SIGN, Signer, app, policy, statement, trusted};
use crate::errors::chain;

/// A registry with an app, and what refers to it: bundles of these statements.
async fn registry_with(
    app: &LayoutDir,
    release: &Signer,
    statements: Vec<Value>,
    lists_referrers: bool,
) -> Stub {
    let layout = LayoutDir::new();
    let mut index = Vec::new();
    for statement in statements {
        let payload = statement.to_string();
        let signature = release
            .0
            .sign(&SystemRandom::new(), &envelope(payload.as_bytes()))
            .unwrap();
        let bundle = json!({"mediaType": BUNDLE, "verificationMaterial": {"publicKey": {"hint": "x"}},
            "dsseEnvelope": {"payload": STANDARD.encode(payload), "payloadType": "application/vnd.in-toto+json",
                "signatures": [{"sig": STANDARD.encode(signature)}]}});
        let mut entry = layout.image(
            &layout.blob("application/vnd.oci.empty.v1+json", b"{}"),
            &[layout.blob(BUNDLE, bundle.to_string().as_bytes())],
        );
        entry["artifactType"] = json!(BUNDLE);
        index.push(entry);
    }
    let mut foreign = layout.image(&layout.blob(CONFIG, b"{}"), &[]);
    foreign["artifactType"] = json!("application/spdx+json");
    index.push(foreign);
    let index = json!({"schemaVersion": 2, "manifests": index}).to_string();
    let app = app.path().to_owned();
    Stub::start(move |request, _| {
        let path = request.uri().path();
        let is_index = match lists_referrers {
            true => path.contains("/referrers/"),
            false => path.contains("/manifests/sha256-") && !path.ends_with(".sig"),
        };
        match path.rsplit_once("/sha256:") {
            _ if path == "/v2/" => status(200),
            _ if is_index => ok(index.clone()),
            Some((place, hex)) if !place.ends_with("/referrers") => {
                let files = [&app, layout.path()].map(|place| place.join("blobs/sha256").join(hex));
                let found = files.iter().find_map(|file| std::fs::read(file).ok());
                found.map_or_else(|| status(404), ok)
            }
            _ => status(404),
        }
    })
    .await
}

#[tokio::test]
async fn a_bundle_that_refers_to_the_artifact_is_a_signature_and_an_attestation_is_none() {
    let (layout, digest, _) = app();
    let release = Signer::new();
    for lists_referrers in [true, false] {
        let statements = vec![
            statement(&digest, "https://slsa.dev/provenance/v1"),
            statement(&digest, SIGN),
        ];
        let registry = registry_with(&layout, &release, statements, lists_referrers).await;
        let source = format!("{}/acme/app@{digest}", registry.address);
        let source = Source::parse(&source, Path::new("/")).unwrap();
        let (_dir, first) = puller(policy(vec![release.trusted("release.pub")]));
        first.pull(&source, &digest).await.unwrap();
        drop(registry);
        let again = Puller::new(
            first.store().clone(),
            policy(vec![release.trusted("release.pub")]),
        )
        .unwrap();
        again.pull(&source, &digest).await.unwrap();

        let other = statement(&Digest::of(b"b"), SIGN);
        let statements = vec![statement(&digest, "https://slsa.dev/provenance/v1"), other];
        let registry = registry_with(&layout, &release, statements, lists_referrers).await;
        let source = format!("{}/acme/app@{digest}", registry.address);
        let source = Source::parse(&source, Path::new("/")).unwrap();
        let (_dir, puller) = puller(policy(vec![release.trusted("release.pub")]));
        let reason = chain(&puller.pull(&source, &digest).await.unwrap_err());
        for word in [
            "for another artifact",
            "of the type \"https://slsa.dev/provenance/v1\"",
        ] {
            assert!(reason.contains(word), "{reason}");
        }
    }
}

/// What cosign 3 left in a registry that has no list of referrers; the commands stand beside it.
#[derive(Deserialize)]
struct Left {
    key: String,
    digest: Digest,
    /// By what comes after `/v2/acme/app/`.
    repository: BTreeMap<String, String>,
}

impl Left {
    fn read() -> Self {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/trust/cosign-3.json");
        serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap()
    }

    /// The path of the list that cosign wrote in the place of the registry's.
    fn list(&self) -> String {
        format!("manifests/sha256-{}", self.digest.hex())
    }

    async fn serve(&self) -> (Stub, Source) {
        let files = self.repository.clone();
        let registry = Stub::start(move |request, _| {
            let path = request.uri().path();
            let file = path
                .strip_prefix("/v2/acme/app/")
                .and_then(|path| files.get(path));
            match file {
                _ if path == "/v2/" => status(200),
                Some(content) => ok(content.clone()),
                None => status(404),
            }
        })
        .await;
        let source = format!("{}/acme/app@{}", registry.address, self.digest);
        let source = Source::parse(&source, Path::new("/")).unwrap();
        (registry, source)
    }
}

#[tokio::test]
async fn what_cosign_3_signs_in_a_registry_without_a_list_of_referrers_is_signed() {
    let mut left = Left::read();
    let (_registry, source) = left.serve().await;
    let (_dir, good) = puller(policy(vec![trusted("cosign.pub", &left.key)]));
    good.pull(&source, &left.digest).await.unwrap();
    let (_dir, other) = puller(policy(vec![Signer::new().trusted("other.pub")]));
    let reason = chain(&other.pull(&source, &left.digest).await.unwrap_err());
    assert!(reason.contains("not by any of the keys other.pub"), "{reason}");

    // Something else of the same type, such as a list of what is in the artifact, is no bad signature.
    let layout = LayoutDir::new();
    let empty = "application/vnd.oci.empty.v1+json";
    let contents = layout.blob("application/spdx+json", b"{}");
    let mut entry = layout.image(&layout.blob(empty, b"{}"), &[contents]);
    let digest = entry["digest"].as_str().unwrap().to_owned();
    let manifest = layout
        .path()
        .join("blobs/sha256")
        .join(digest.trim_start_matches("sha256:"));
    let manifest = std::fs::read_to_string(manifest).unwrap();
    left.repository.insert(format!("manifests/{digest}"), manifest);
    entry["artifactType"] = json!(empty);
    let list = json!({"schemaVersion": 2, "manifests": [entry]}).to_string();
    left.repository.insert(left.list(), list);
    let (_registry, source) = left.serve().await;
    let (_dir, puller) = puller(policy(vec![trusted("cosign.pub", &left.key)]));
    let reason = chain(&puller.pull(&source, &left.digest).await.unwrap_err());
    assert!(reason.contains("no cosign signature, neither"), "{reason}");
}
