//! What a signature says of an artifact.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::digest::Digest;
use super::signature::{Form, Signature};

/// The only kinds of documents that say no more than that an artifact is signed.
const SIMPLE_SIGNING: &str = "cosign container image signature";
const STATEMENT: &str = "https://in-toto.io/Statement/v1";
const PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
/// A statement names subjects by several kinds of digests.
const SHA256: &str = "sha256";

/// What is signed, and by which name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) digests: Vec<Digest>,
    /// The repository that the signer had in mind, with or without a tag; may be empty. A statement names none.
    pub(super) name: Option<String>,
}

#[derive(Deserialize)]
struct SimpleSigning {
    critical: Critical,
}

#[derive(Deserialize)]
struct Critical {
    r#type: String,
    image: Image,
    identity: Identity,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Image {
    docker_manifest_digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Identity {
    docker_reference: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
}

#[derive(Deserialize)]
struct Subject {
    digest: BTreeMap<String, String>,
}

/// Reads a document whose signature has been verified.
///
/// # Errors
/// What is wrong with it, as it follows on "its payload".
pub(super) fn read(signature: &Signature) -> Result<Claim, String> {
    match signature.form {
        Form::SimpleSigning => {
            let SimpleSigning { critical } = parse(&signature.payload)?;
            expect(SIMPLE_SIGNING, &critical.r#type)?;
            Ok(Claim {
                digests: vec![critical.image.docker_manifest_digest],
                name: Some(critical.identity.docker_reference),
            })
        }
        Form::Statement => {
            let statement: Statement = parse(&signature.payload)?;
            expect(STATEMENT, &statement.kind)?;
            // Whoever attests what is in an artifact, or how it was made, does not say that it may run.
            expect(PREDICATE, &statement.predicate_type)?;
            let subjects = statement.subject.iter();
            let digests = subjects.filter_map(|subject| Digest::from_hex(subject.digest.get(SHA256)?));
            Ok(Claim {
                digests: digests.collect(),
                name: None,
            })
        }
    }
}

fn parse<T: DeserializeOwned>(payload: &[u8]) -> Result<T, String> {
    serde_json::from_slice(payload).map_err(|error| format!("is not cosign's document ({error})"))
}

fn expect(expected: &str, kind: &str) -> Result<(), String> {
    match kind == expected {
        true => Ok(()),
        false => Err(format!("is of the type {kind:?}; expected {expected:?}")),
    }
}
