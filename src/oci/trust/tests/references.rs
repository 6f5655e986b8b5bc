//! References that are admitted, and repositories that signatures are for.

use std::path::Path;

use aws_lc_rs::rand::SystemRandom;

use super::super::super::{Digest, Source};
use super::super::signature::{Form, Signature};
use super::super::{Pattern, Policy, TrustedKeys};
use super::{REPOSITORY, Signer, document, made};

#[test]
fn a_reference_is_admitted_by_its_registry_its_digest_and_a_key_for_it() {
    let key = &made().signatures[0].key;
    let pattern = |text: &str| text.parse::<Pattern>().unwrap();
    let bound =
        |text: &str| TrustedKeys::parse(Some(pattern(text)), Path::new("a.pub"), key.as_bytes()).unwrap();
    let policies = [
        Policy::default(),
        Policy {
            allowed: vec![pattern("ghcr.io/acme"), pattern("oci:")],
            ..Policy::default()
        },
        Policy {
            require_digest: true,
            ..Policy::default()
        },
        Policy {
            keys: vec![bound("ghcr.io/acme"), bound("oci:")],
            ..Policy::default()
        },
    ];
    let pinned = format!("ghcr.io/acme/app@{}", Digest::of(b"a"));
    for (reference, words) in [
        (
            "ghcr.io/acme/app:v1",
            ["", "", "write it as \"ghcr.io/acme/app@sha256:", ""],
        ),
        (&pinned, ["", "", "", ""]),
        (
            "nginx",
            [
                "",
                "names ghcr.io/acme, oci: alone; allow it with --allow-registry index.docker.io/library/nginx",
                "write it as",
                "bind one with --cosign-key index.docker.io/library/nginx=FILE",
            ],
        ),
        ("oci:/srv/app", ["", "", "push it to a registry", ""]),
        (
            "oci-archive:/srv/a.tar",
            [
                "",
                "--allow-registry oci-archive:",
                "a registry",
                "--cosign-key oci-archive:=FILE",
            ],
        ),
    ] {
        let source = Source::parse(reference, Path::new("/")).unwrap();
        for (number, (policy, word)) in policies.iter().zip(words).enumerate() {
            match policy.admit(&source) {
                Ok(()) => assert_eq!(word, "", "{reference} by policy {number}"),
                Err(refusal) => {
                    let refusal = refusal.to_string();
                    assert!(!word.is_empty() && refusal.contains(word), "{number}: {refusal}");
                }
            }
        }
    }
}

#[test]
fn a_signature_is_for_the_repository_that_the_app_comes_from() {
    let release = Signer::new();
    let digest = Digest::of(b"a");
    let policy = Policy {
        keys: vec![release.trusted("release.pub")],
        ..Policy::default()
    };
    let judge = |source: &str, name: &str| {
        let payload = document(&digest, name).into_bytes();
        let signature = release.0.sign(&SystemRandom::new(), &payload).unwrap();
        let signature = Signature {
            form: Form::SimpleSigning,
            payload,
            signature: signature.as_ref().to_vec(),
        };
        let source = Source::parse(source, Path::new("/")).unwrap();
        policy.judge(&source, &digest, &signature)
    };
    for (source, name) in [
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app"),
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app:v0"),
        ("acme/app", "index.docker.io/acme/app"),
        ("127.0.0.1:5000/a", "127.0.0.1:5000/a:latest"),
    ] {
        assert_eq!(
            judge(source, name).as_deref(),
            Ok("release.pub"),
            "{source} {name}"
        );
    }
    for (source, name) in [
        ("ghcr.io/acme/app:v1", "ghcr.io/acme/app2"),
        ("ghcr.io/acme/app:v1", "mirror.example/acme/app"),
        ("oci:/srv/app", "oci:/srv/app"),
        ("oci:/srv/app", REPOSITORY),
    ] {
        assert!(judge(source, name).is_err(), "{source} {name}");
    }
}
