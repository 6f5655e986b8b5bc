//! What is read of documents and bundles.

use serde_json::{Value, json};

use super::super::super::Digest;
use super::super::signature::{Form, Signature};
use super::super::{bundle, payload};
use super::{REPOSITORY, SIGN, statement};

#[test]
fn a_document_that_is_not_cosign_s_is_no_claim() {
    let digest = Digest::of(b"a");
    let claim = |form, document: &Value| {
        payload::read(&Signature {
            form,
            payload: document.to_string().into_bytes(),
            signature: Vec::new(),
        })
    };
    let simple = |kind: &str, digest: &str| {
        json!({"critical": {"type": kind, "image": {"docker-manifest-digest": digest},
            "identity": {"docker-reference": REPOSITORY}}, "optional": {"creator": "x"}})
    };
    let good = simple("cosign container image signature", &digest.to_string());
    let claimed = claim(Form::SimpleSigning, &good).unwrap();
    assert_eq!(claimed.digests, [digest]);
    assert_eq!(claimed.name.as_deref(), Some(REPOSITORY));
    assert!(
        claim(Form::Statement, &good).is_err(),
        "one form is not the other"
    );

    let claimed = claim(Form::Statement, &statement(&digest, SIGN)).unwrap();
    assert_eq!(
        (claimed.digests.as_slice(), claimed.name),
        ([digest].as_slice(), None)
    );
    let mut other = statement(&digest, SIGN);
    other["subject"] = json!([{"name": "x", "digest": {"sha512": "00"}}]);
    assert_eq!(claim(Form::Statement, &other).unwrap().digests, []);
    for (form, document, word) in [
        (
            Form::SimpleSigning,
            simple("atomic container signature", &digest.to_string()),
            "of the type",
        ),
        (
            Form::SimpleSigning,
            simple("cosign container image signature", "sha512:00"),
            "sha256",
        ),
        (
            Form::SimpleSigning,
            json!({"critical": {"type": "cosign container image signature"}}),
            "missing field",
        ),
        (Form::SimpleSigning, json!([]), "not cosign's document"),
        (
            Form::Statement,
            statement(&digest, "https://slsa.dev/provenance/v1"),
            "of the type",
        ),
        (Form::Statement, json!({}), "missing field"),
    ] {
        let flaw = claim(form, &document).unwrap_err();
        assert!(flaw.contains(word), "{flaw}");
    }
}

#[test]
fn a_bundle_that_is_not_cosign_s_says_what_is_wrong() {
    let envelope = |kind: &str, signatures: Value| json!({"dsseEnvelope": {"payload": "e30=", "payloadType": kind, "signatures": signatures}});
    let in_toto = "application/vnd.in-toto+json";
    let one = json!([{"sig": "AAAA"}]);
    assert_eq!(
        bundle::read(envelope(in_toto, one.clone()).to_string().as_bytes())
            .unwrap()
            .payload,
        b"{}"
    );
    for (bundle, word) in [
        (json!([]), "no bundle"),
        (json!({"messageSignature": {}}), "without \"dsseEnvelope\""),
        (envelope("text/plain", one), "of the type \"text/plain\""),
        (envelope(in_toto, json!([])), "exactly one signature"),
        (envelope(in_toto, json!([{"sig": "!"}])), "base64"),
    ] {
        let flaw = bundle::read(bundle.to_string().as_bytes()).unwrap_err();
        assert!(flaw.contains(word), "{flaw}");
    }
}
