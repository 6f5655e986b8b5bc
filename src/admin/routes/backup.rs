//! An app's databases, to be taken away.

use aide::axum::routing::post_with;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Uri, header};
use axum::response::IntoResponse;
use futures::stream;
use serde_json::json;
use tokio::io::AsyncReadExt as _;

use super::apps::named;
use super::history::refused;
use super::{Group, guarded};
use crate::admin::answer::{AppPath, Plain, Refused, described};
use crate::admin::api::Api;
use crate::control::{AppId, Backup};

/// The media type of a tar.
const TAR: &str = "application/x-tar";
/// Bytes that are read at once.
const CHUNK: usize = 256 << 10;

pub(super) fn routes() -> Group {
    Group::new().api_route(
        "/apps/{id}/backup",
        post_with(back_up, |operation| {
            let operation = operation
                .id("backUp")
                .summary("A tar of an app's SQLite databases, as they are at one moment");
            named(guarded(operation), "No file names that app.")
                .response_with::<200, Plain, _>(|mut response| {
                    *response.inner() = described(TAR, json!({"type": "string", "format": "binary"}));
                    response.description("The tar, whose length is told.")
                })
                .response_with::<409, Refused, _>(|response| {
                    response.description("There is nothing to copy, or it can't be copied now.")
                })
        }),
    )
}

/// The copy is whole before the answer begins: its length is told, so that one that breaks off is noticed.
async fn back_up(State(api): State<Api>, AppPath(id): AppPath, asked: Uri) -> Result<Plain, Refused> {
    let backup = api.sources.supervisor.back_up(AppId::new(&id)).await;
    let Backup { tar, size } = backup.map_err(|refusal| refused(&refusal, &asked))?;
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
    Ok(Plain((headers, Body::from_stream(chunks)).into_response()))
}
