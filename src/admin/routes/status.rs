//! What all apps are doing.

use aide::axum::routing::get_with;
use axum::body::Body;
use axum::extract::State;
use futures::stream;
use serde_json::json;

use super::{Group, JSON_LINES, guarded};
use crate::admin::answer::{Answer, Plain, described};
use crate::admin::api::Api;
use crate::control::Status;

pub(super) fn routes() -> Group {
    Group::new()
        .api_route(
            "/status",
            get_with(status, |operation| {
                guarded(operation.id("status").summary("What all apps are doing"))
                    .response_with::<200, Answer<Status>, _>(|response| {
                        response.description("The status, with the traffic of this moment.")
                    })
            }),
        )
        .api_route(
            "/status/watch",
            get_with(follow, |operation| {
                guarded(operation.id("watchStatus").summary("The same, at every change")).response_with::<200, Plain, _>(
                    |mut response| {
                        *response.inner() = described(JSON_LINES, json!({"type": "string"}));
                        response.description(
                            "A line with a status as it is, and one after each change, until the client leaves. \
                             Changes that come faster than they are read are one. Requests are no change: the traffic is that of the moment.",
                        )
                    },
                )
            }),
        )
}

async fn status(State(api): State<Api>) -> Answer<Status> {
    Answer(api.status())
}

async fn follow(State(api): State<Api>) -> Plain {
    let mut changes = api.sources.status.clone();
    changes.mark_changed();
    let lines = stream::try_unfold((api, changes), |(api, mut changes)| async move {
        if changes.changed().await.is_err() {
            return Ok(None);
        }
        let mut status = changes.borrow_and_update().clone();
        api.add_traffic(&mut status);
        let mut line = serde_json::to_vec(&status)?;
        line.push(b'\n');
        Ok::<_, serde_json::Error>(Some((line, (api, changes))))
    });
    Plain::text(JSON_LINES, Body::from_stream(lines))
}
