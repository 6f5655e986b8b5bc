//! Signatures in layouts, through the puller.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::super::super::testing::layout::{LayoutDir, digest_of, tagged};
use super::super::super::testing::puller;
use super::super::super::{Artifact, Digest, OciError, Puller};
use super::super::{TrustedKeys, place};
use super::{CONFIG, REPOSITORY, SIMPLE_SIGNING, Signer, app, document, policy};
use crate::errors::chain;

/// Adds a manifest of signatures to a layout with an app, as `skopeo copy` brings it there.
fn sign(layout: &LayoutDir, app: &Value, layers: &[Value]) {
    let signatures = layout.image(&layout.blob(CONFIG, b"{}"), layers);
    let tag = place::tag(&digest_of(app));
    layout.index(&[tagged(app.clone(), "v1"), tagged(signatures, &tag)]);
}

async fn pull(puller: &Puller, layout: &LayoutDir, digest: &Digest) -> Result<Artifact, OciError> {
    puller.pull(&layout.source(Some("v1")), digest).await
}

/// Why it is refused, by a policy with these keys and an empty store.
async fn refused(layout: &LayoutDir, digest: &Digest, keys: Vec<TrustedKeys>) -> String {
    let (_dir, puller) = puller(policy(keys));
    let error = pull(&puller, layout, digest).await.unwrap_err();
    assert!(matches!(error, OciError::Refused(_)), "{error:?}");
    assert!(!error.is_transient());
    chain(&error)
}

#[tokio::test]
async fn a_signature_by_one_of_the_keys_among_others_lets_it_run() {
    let (layout, digest, app) = app();
    let (release, other) = (Signer::new(), Signer::new());
    let layers = [
        release.signature(&layout, &digest, REPOSITORY),
        other.signature(&layout, &digest, REPOSITORY),
        other.signature(&layout, &Digest::of(b"b"), REPOSITORY),
    ];
    sign(&layout, &app, &layers);
    let keys = vec![Signer::new().trusted("third.pub"), release.trusted("release.pub")];
    let (_dir, puller) = puller(policy(keys));
    pull(&puller, &layout, &digest).await.unwrap();
}

#[tokio::test]
async fn what_is_not_signed_as_it_should_be_is_refused_with_the_reason() {
    let (layout, digest, app) = app();
    let (release, other) = (Signer::new(), Signer::new());
    let keys = || vec![release.trusted("release.pub")];
    let reason = refused(&layout, &digest, keys()).await;
    assert!(
        reason.contains("no cosign signature, neither \"sha256-"),
        "{reason}"
    );
    assert!(reason.ends_with("one of the keys release.pub"), "{reason}");

    let good = document(&digest, REPOSITORY);
    let mut bare = release.signature(&layout, &digest, REPOSITORY);
    bare["annotations"] = json!({});
    let mut foreign = release.signature(&layout, &digest, REPOSITORY);
    foreign["mediaType"] = json!("application/octet-stream");
    let huge = json!({"mediaType": SIMPLE_SIGNING, "digest": Digest::of(b"x"), "size": 1_000_000,
        "annotations": bare_annotation()});
    let missing = json!({"mediaType": SIMPLE_SIGNING, "digest": Digest::of(b"x"), "size": 1,
        "annotations": bare_annotation()});
    for (layer, word) in [
        (
            other.signature(&layout, &digest, REPOSITORY),
            "not by any of the keys release.pub",
        ),
        (
            release.layer(&layout, &good, &good.replace("null", "{}")),
            "not by any of the keys",
        ),
        (
            release.signature(&layout, &Digest::of(b"b"), REPOSITORY),
            "for another artifact",
        ),
        (
            release.signature(&layout, &digest, "ghcr.io/evil/app:v1"),
            "--cosign-identity ghcr.io/evil/app",
        ),
        (release.signature(&layout, &digest, ""), "which is no repository"),
        (release.layer(&layout, "{}", "{}"), "is not cosign's document"),
        (bare, "has no \"dev.cosignproject.cosign/signature\""),
        (foreign, "has no cosign signature"),
        (huge, "larger than the limit"),
        (missing, "does not exist"),
    ] {
        sign(&layout, &app, &[layer]);
        let reason = refused(&layout, &digest, keys()).await;
        assert!(reason.contains(word), "{word}: {reason}");
    }
}

fn bare_annotation() -> Value {
    json!({"dev.cosignproject.cosign/signature": "AAAA"})
}

#[tokio::test]
async fn what_was_verified_is_verified_again_without_asking_by_the_keys_of_then() {
    let (layout, digest, app) = app();
    let release = Signer::new();
    sign(&layout, &app, &[release.signature(&layout, &digest, REPOSITORY)]);
    let (_dir, first) = puller(policy(vec![release.trusted("release.pub")]));
    let artifact = pull(&first, &layout, &digest).await.unwrap();
    std::fs::rename(layout.path().join("index.json"), layout.path().join("gone")).unwrap();

    let again = |keys| Puller::new(first.store().clone(), policy(keys)).unwrap();
    pull(&again(vec![release.trusted("release.pub")]), &layout, &digest)
        .await
        .unwrap();
    let removed = again(vec![Signer::new().trusted("new.pub")]);
    let error = pull(&removed, &layout, &digest).await.unwrap_err();
    let reason = chain(&error);
    assert!(
        reason.contains("no stored signature is good by the keys new.pub"),
        "{reason}"
    );
    assert!(reason.contains("index.json"), "{reason}");

    // Nobody gains by writing into the store: what is there is no verdict.
    let forged = document(&digest, REPOSITORY);
    let kept = json!([{"form": "simple_signing", "payload": STANDARD.encode(forged), "signature": STANDARD.encode("x")}]);
    std::fs::write(first.store().signatures(&digest), kept.to_string()).unwrap();
    let release = again(vec![release.trusted("release.pub")]);
    assert!(pull(&release, &layout, &digest).await.is_err());

    // It is pinned with the artifact, and goes with it.
    let pins: Vec<_> = artifact.blobs.iter().map(Into::into).collect();
    first.store().pin("owner", "app", &pins).unwrap();
    drop(artifact);
    first.store().prune(0).unwrap();
    assert!(first.store().signatures(&digest).exists());
    first.store().unpin("owner", "app").unwrap();
    first.store().prune(0).unwrap();
    assert!(!first.store().signatures(&digest).exists());
}

#[tokio::test]
async fn a_layout_that_cosign_saved_has_its_signatures_in_it() {
    let (layout, digest, app) = app();
    let release = Signer::new();
    let layers = [release.signature(&layout, &digest, REPOSITORY)];
    let signatures = layout.image(&layout.blob(CONFIG, b"{}"), &layers);
    let kind = |mut entry: Value, kind: &str| {
        entry["annotations"] = json!({"kind": format!("dev.cosignproject.cosign/{kind}")});
        entry
    };
    layout.index(&[kind(app, "image"), kind(signatures, "sigs")]);
    let (_dir, puller) = puller(policy(vec![release.trusted("release.pub")]));
    let source = layout.source(None);
    assert_eq!(puller.resolve(&source).await.unwrap(), digest);
    puller.pull(&source, &digest).await.unwrap();
}
