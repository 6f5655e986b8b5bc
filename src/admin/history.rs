//! What served, and going back to it.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::refusal::refused;
use crate::control::{AppId, SupervisorHandle};

/// What `POST /apps/{id}/rollback` may be told; nothing at all is the version before the one that serves.
#[derive(Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    /// Its number in the history, its digest or the beginning of that, or `previous`.
    pub(super) version: Option<VersionName>,
}

/// A version, as a request names it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(super) enum VersionName {
    Number(u64),
    Text(String),
}

impl VersionName {
    fn text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Text(text) => text,
        }
    }
}

/// The routes.
pub(super) fn routes(supervisor: SupervisorHandle) -> Router {
    Router::new()
        .route("/apps/{id}/history", get(history))
        .route("/apps/{id}/rollback", post(roll_back).delete(undo))
        .with_state(supervisor)
}

async fn history(State(supervisor): State<SupervisorHandle>, Path(id): Path<String>) -> Response {
    match supervisor.history(AppId::new(&id)).await {
        Ok(history) => Json(history).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

/// Answers when the version serves.
async fn roll_back(
    State(supervisor): State<SupervisorHandle>,
    Path(id): Path<String>,
    wanted: Option<Json<Wanted>>,
) -> Response {
    let version = wanted.and_then(|Json(wanted)| wanted.version);
    let version = version.map(VersionName::text);
    match supervisor.roll_back(AppId::new(&id), version).await {
        Ok(pinned) => Json(pinned).into_response(),
        Err(refusal) => refused(&refusal),
    }
}

async fn undo(State(supervisor): State<SupervisorHandle>, Path(id): Path<String>) -> Response {
    match supervisor.undo_rollback(AppId::new(&id)).await {
        Ok(()) => StatusCode::ACCEPTED.into_response(),
        Err(refusal) => refused(&refusal),
    }
}
