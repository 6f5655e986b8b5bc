//! Sigstore's bundles, as cosign 3 writes them: an envelope with a statement, and by what it is verified, which here are
//! the operator's keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::signature::{Form, STATEMENT, Signature};

/// The type of the layer, and of the artifact that refers to what is signed.
pub(super) const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bundle {
    dsse_envelope: Option<Envelope>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    payload: String,
    payload_type: String,
    signatures: Vec<EnvelopeSignature>,
}

#[derive(Deserialize)]
struct EnvelopeSignature {
    sig: String,
}

/// Reads a bundle; what it says is not believed yet.
///
/// # Errors
/// What is wrong with it, in words.
pub(super) fn read(bytes: &[u8]) -> Result<Signature, String> {
    let bundle: Bundle =
        serde_json::from_slice(bytes).map_err(|error| format!("one is no bundle ({error})"))?;
    let envelope = bundle
        .dsse_envelope
        .ok_or("one is a bundle without \"dsseEnvelope\"")?;
    if envelope.payload_type != STATEMENT {
        return Err(format!(
            "one is a bundle of the type {:?}; expected {STATEMENT:?}",
            envelope.payload_type
        ));
    }
    let [signature] = envelope.signatures.as_slice() else {
        return Err("one is a bundle that has not exactly one signature".to_owned());
    };
    let decode = |text: &str| {
        STANDARD
            .decode(text)
            .map_err(|error| format!("one is a bundle that is not in base64 ({error})"))
    };
    Ok(Signature {
        form: Form::Statement,
        payload: decode(&envelope.payload)?,
        signature: decode(&signature.sig)?,
    })
}
