//! What would be done with other files.

use aide::axum::routing::post_with;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{StatusCode, Uri};

use super::{Group, guarded};
use crate::admin::answer::{Answer, Refused};
use crate::admin::api::Api;
use crate::admin::input::{Told, bodied};
use crate::control::{Drafts, Rehearsed};

/// Bytes of all app files that a plan is asked for: those of thousands of apps.
const MAX_PLAN: usize = 64 << 20;

pub(super) fn routes() -> Group {
    let route = post_with(plan, |operation| {
        let operation = operation
            .id("plan")
            .summary("What would be done if the app files were these");
        bodied(guarded(operation))
            .response_with::<200, Answer<Rehearsed>, _>(|response| {
                response.description("A step for each app; nothing has been done.")
            })
            .response_with::<503, Refused, _>(|response| response.description("The daemon ends."))
    });
    Group::new()
        .api_route("/plan", route)
        .layer(DefaultBodyLimit::max(MAX_PLAN))
}

async fn plan(
    State(api): State<Api>,
    asked: Uri,
    Told(drafts): Told<Drafts>,
) -> Result<Answer<Rehearsed>, Refused> {
    let planned = api.sources.supervisor.rehearse(drafts).await;
    planned
        .map(Answer)
        .ok_or_else(|| Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the daemon ends", &asked))
}
