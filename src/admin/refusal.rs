//! What a refused command is answered with: a problem document (RFC 9457).

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use crate::control::Refusal;

/// The media type of problem documents.
const PROBLEM_JSON: &str = "application/problem+json";

/// Why a request was refused.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
pub(super) struct Problem {
    /// The status, in words.
    pub(super) title: String,
    /// The response's status.
    pub(super) status: u16,
    /// What is wrong, and the remedy where one is known.
    pub(super) detail: String,
}

/// The answer to a command that was refused.
pub(super) fn refused(refusal: &Refusal) -> Response {
    let status = match refusal {
        Refusal::NoSuchApp(_) => StatusCode::NOT_FOUND,
        Refusal::NeverServed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Disabled(_)
        | Refusal::NoFile(_)
        | Refusal::Unavailable { .. }
        | Refusal::Waits { .. }
        | Refusal::NotPinned(_)
        | Refusal::NoBackup { .. }
        | Refusal::Superseded => StatusCode::CONFLICT,
    };
    let problem = Problem {
        title: status.canonical_reason().unwrap_or_default().to_owned(),
        status: status.as_u16(),
        detail: refusal.to_string(),
    };
    (status, [(header::CONTENT_TYPE, PROBLEM_JSON)], Json(problem)).into_response()
}
