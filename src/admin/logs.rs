//! What apps have printed, and print: `GET /apps/{id}/logs`.

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::stream;
use serde::Deserialize;
use tokio::sync::watch;

use super::server::JSON_LINES;
use crate::control::Status;
use crate::logs::{GuestLogs, LogQuery, Stream};

/// Lines of each file, where the request says nothing.
const DEFAULT_LINES: usize = 100;

#[derive(Clone)]
struct Logs {
    guests: GuestLogs,
    status: watch::Receiver<Status>,
}

/// What a request may say.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Wanted {
    /// How many of the last lines of each component and stream; 10,000 at most.
    #[serde(default = "default_lines")]
    lines: usize,
    /// Of this component alone.
    component: Option<String>,
    /// Of this stream alone.
    stream: Option<Stream>,
    /// Whether to go on with what is printed.
    #[serde(default)]
    follow: bool,
}

fn default_lines() -> usize {
    DEFAULT_LINES
}

/// The routes.
pub(super) fn routes(guests: GuestLogs, status: watch::Receiver<Status>) -> Router {
    Router::new()
        .route("/apps/{id}/logs", get(show))
        .with_state(Logs { guests, status })
}

/// A [`LogLine`](crate::logs::LogLine) a line: those of each file together, oldest first, then those that come.
async fn show(State(logs): State<Logs>, Path(id): Path<String>, Query(wanted): Query<Wanted>) -> Response {
    let query = LogQuery {
        lines: wanted.lines,
        component: wanted.component,
        stream: wanted.stream,
        follow: wanted.follow,
    };
    let is_known = || logs.status.borrow().apps.contains_key(&id);
    let body = match logs.guests.read(&id, query).await {
        Some(reader) => {
            let lines = stream::try_unfold(reader, |mut reader| async move {
                let Some(line) = reader.next().await? else {
                    return Ok(None);
                };
                let mut text = serde_json::to_vec(&line)?;
                text.push(b'\n');
                Ok::<_, std::io::Error>(Some((text, reader)))
            });
            Body::from_stream(lines)
        }
        // It has not come so far as to print anything.
        None if is_known() => Body::empty(),
        None => return StatusCode::NOT_FOUND.into_response(),
    };
    ([(header::CONTENT_TYPE, JSON_LINES)], body).into_response()
}
