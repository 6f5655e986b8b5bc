//! A signature: what is signed, in either of cosign's forms.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

/// The type of what a bundle's envelope holds.
pub(super) const STATEMENT: &str = "application/vnd.in-toto+json";

/// A document that names an artifact, and its signature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Signature {
    pub(super) form: Form,
    #[serde(with = "in_base64")]
    pub(super) payload: Vec<u8>,
    #[serde(with = "in_base64")]
    pub(super) signature: Vec<u8>,
}

/// What the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Form {
    /// Simple signing, signed as it stands.
    SimpleSigning,
    /// An in-toto statement, signed as the payload of an envelope (DSSE).
    Statement,
}

impl Signature {
    /// The bytes that were signed.
    pub(super) fn signed(&self) -> Cow<'_, [u8]> {
        match self.form {
            Form::SimpleSigning => Cow::Borrowed(&self.payload),
            Form::Statement => Cow::Owned(envelope(&self.payload)),
        }
    }
}

/// DSSE's "pre-authentication encoding": the type is signed with the payload, so that none is taken for another.
pub(super) fn envelope(payload: &[u8]) -> Vec<u8> {
    let head = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), payload.len());
    [head.as_bytes(), payload].concat()
}

mod in_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map_err(D::Error::custom)
    }
}
