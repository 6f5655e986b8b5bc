//! What apps have printed, and print.

use aide::axum::routing::get_with;
use axum::body::Body;
use axum::extract::State;
use axum::http::Uri;
use futures::stream;
use serde::Deserialize;
use serde_json::json;

use super::apps::{named, unknown};
use super::{Group, JSON_LINES, guarded};
use crate::admin::answer::{AppPath, Plain, Refused, described};
use crate::admin::api::Api;
use crate::admin::input::Wanted;
use crate::logs::{LogQuery, MAX_LINES, Stream};

/// Lines of each file, where the request says nothing.
const DEFAULT_LINES: usize = 100;

/// What a request may say.
#[derive(Debug, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
struct Which {
    /// How many of the last lines of each component and stream; 10,000 at most.
    #[serde(default = "default_lines")]
    #[schemars(range(max = MAX_LINES))]
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

pub(super) fn routes() -> Group {
    Group::new().api_route(
        "/apps/{id}/logs",
        get_with(show, |operation| {
            let operation = operation.id("logs").summary("What an app's guests have printed");
            named(guarded(operation), "No file names that app.").response_with::<200, Plain, _>(
                |mut response| {
                    *response.inner() = described(JSON_LINES, json!({"type": "string"}));
                    response.description(
                        "A line of the log in each line: `time`, where it is known, `component`, `stream` and `line`; \
                         those of each file together, oldest first, then those that come.",
                    )
                },
            )
        }),
    )
}

async fn show(
    State(api): State<Api>,
    AppPath(id): AppPath,
    asked: Uri,
    Wanted(which): Wanted<Which>,
) -> Result<Plain, Refused> {
    let query = LogQuery {
        lines: which.lines,
        component: which.component,
        stream: which.stream,
        follow: which.follow,
    };
    let body = match api.sources.guests.read(&id, query).await {
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
        None if api.names(&id) => Body::empty(),
        None => return Err(unknown(&id, &asked)),
    };
    Ok(Plain::text(JSON_LINES, body))
}
