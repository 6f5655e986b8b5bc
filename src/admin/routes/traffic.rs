//! What came in the last minutes.

use aide::axum::routing::get_with;
use axum::extract::State;
use axum::http::Uri;

use super::apps::{named, unknown};
use super::{Group, guarded};
use crate::admin::answer::{Answer, AppPath, Refused};
use crate::admin::api::Api;
use crate::admin::recent::RecentTraffic;

pub(super) fn routes() -> Group {
    Group::new()
        .api_route(
            "/traffic",
            get_with(all, |operation| {
                let operation = operation
                    .id("traffic")
                    .summary("What came in the last minutes, for all apps");
                guarded(operation).response_with::<200, Answer<RecentTraffic>, _>(|response| {
                    response.description("The traffic of all apps together, in steps.")
                })
            }),
        )
        .api_route(
            "/apps/{id}/traffic",
            get_with(one, |operation| {
                let operation = operation
                    .id("appTraffic")
                    .summary("What came in the last minutes, for one app");
                named(guarded(operation), "No file names that app.")
                    .response_with::<200, Answer<RecentTraffic>, _>(|response| {
                        response
                            .description("The app's traffic, in steps; they begin with its first request.")
                    })
            }),
        )
}

async fn all(State(api): State<Api>) -> Answer<RecentTraffic> {
    Answer(RecentTraffic::of(&api.sources.apps.recent()))
}

async fn one(
    State(api): State<Api>,
    AppPath(id): AppPath,
    asked: Uri,
) -> Result<Answer<RecentTraffic>, Refused> {
    match api.names(&id) {
        true => Ok(Answer(RecentTraffic::of(&api.recent(&id)))),
        false => Err(unknown(&id, &asked)),
    }
}
