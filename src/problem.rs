//! What a server says that refuses a request: a problem document (RFC 9457).

use bytes::Bytes;
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::Serialize;

/// The media type of one.
pub const PROBLEM_JSON: &str = "application/problem+json";
/// The same as a header's value.
pub const CONTENT_TYPE: HeaderValue = HeaderValue::from_static(PROBLEM_JSON);
/// A problem that is no more than its status says (RFC 9457 §4.2.1).
const NO_TYPE: &str = "about:blank";

/// Why a request was refused (RFC 9457).
#[derive(Debug, Serialize, JsonSchema)]
pub struct Problem<'a> {
    /// A URI that names the kind of problem; `about:blank`: no more than the status says.
    #[serde(rename = "type")]
    kind: &'a str,
    /// The status in words.
    title: &'a str,
    /// The status of the response.
    status: u16,
    /// What was wrong with this request.
    detail: &'a str,
    /// The path that was asked for.
    instance: &'a str,
}

impl<'a> Problem<'a> {
    /// `detail` is what the client may know of it, and `path` what it asked for.
    pub fn new(status: StatusCode, detail: &'a str, path: &'a str) -> Self {
        Self {
            kind: NO_TYPE,
            title: status.canonical_reason().unwrap_or_default(),
            status: status.as_u16(),
            detail,
            instance: path,
        }
    }

    /// The document.
    pub fn to_json(&self) -> Bytes {
        // Strings and a number always have a JSON form.
        serde_json::to_vec(self).unwrap_or_default().into()
    }
}
