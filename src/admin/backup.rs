//! An app's databases, to be taken away.

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::stream;
use tokio::io::AsyncReadExt as _;

use super::refusal::refused;
use crate::control::{AppId, Backup, SupervisorHandle};

/// The media type of a tar.
const TAR: &str = "application/x-tar";
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

/// The route.
pub(super) fn routes(supervisor: SupervisorHandle) -> Router {
    Router::new()
        .route("/apps/{id}/backup", post(back_up))
        .with_state(supervisor)
}

/// The copy is whole before the answer begins: its length is told, so that one that breaks off is noticed.
async fn back_up(State(supervisor): State<SupervisorHandle>, Path(id): Path<String>) -> Response {
    let Backup { tar, size } = match supervisor.back_up(AppId::new(&id)).await {
        Ok(backup) => backup,
        Err(refusal) => return refused(&refusal),
    };
    let file = tokio::fs::File::from_std(tar);
    let chunks = stream::try_unfold(file, |mut file| async move {
        let mut chunk = Vec::with_capacity(CHUNK);
        let read = (&mut file).take(CHUNK as u64).read_to_end(&mut chunk).await?;
        Ok::<_, std::io::Error>((read > 0).then(|| (Bytes::from(chunk), file)))
    });
    let headers = [
        (header::CONTENT_TYPE, TAR.to_owned()),
        (header::CONTENT_LENGTH, size.to_string()),
    ];
    (headers, Body::from_stream(chunks)).into_response()
}
