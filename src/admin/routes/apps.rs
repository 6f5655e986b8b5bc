//! One app.

use aide::axum::routing::{get_with, post_with};
use aide::transform::TransformOperation;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::{Group, guarded};
use crate::admin::answer::{Answer, AppPath, Plain, Refused};
use crate::admin::api::Api;
use crate::control::{AppId, AppStatus};

pub(super) fn routes() -> Group {
    Group::new()
        .api_route(
            "/apps/{id}",
            get_with(app, |operation| {
                let operation = operation.id("app").summary("What one app is doing");
                named(guarded(operation), "No file names that app.")
                    .response_with::<200, Answer<AppStatus>, _>(|response| {
                        response.description("The app's part of the status.")
                    })
            }),
        )
        .api_route(
            "/apps/{id}/redeploy",
            post_with(redeploy, |operation| {
                let operation = operation
                    .id("redeploy")
                    .summary("Has an app's reference resolved again, and the app deployed as if it were new");
                let missing = "No file names that app, or its file is in error, or switches it off.";
                named(guarded(operation), missing).response_with::<202, Plain, _>(|response| {
                    response.description("It has begun; the status tells how it ends.")
                })
            }),
        )
}

/// What holds for each route that names an app.
pub(super) fn named<'t>(operation: TransformOperation<'t>, missing: &str) -> TransformOperation<'t> {
    operation
        .response_with::<400, Refused, _>(|response| response.description("The name is not UTF-8 text."))
        .response_with::<404, Refused, _>(|response| response.description(missing))
}

/// No file names that app.
pub(super) fn unknown(id: &str, asked: &Uri) -> Refused {
    let detail = format!("no file names an app {id:?}: /status lists those that there are");
    Refused::new(StatusCode::NOT_FOUND, detail, asked)
}

async fn app(State(api): State<Api>, AppPath(id): AppPath, asked: Uri) -> Result<Answer<AppStatus>, Refused> {
    let app = api.app(&id).map(Answer);
    app.ok_or_else(|| unknown(&id, &asked))
}

async fn redeploy(State(api): State<Api>, AppPath(id): AppPath, asked: Uri) -> Result<Plain, Refused> {
    match api.sources.supervisor.redeploy(AppId::new(&id)).await {
        true => Ok(Plain::nothing(StatusCode::ACCEPTED)),
        false => {
            let detail = format!("no file names an app {id:?}, or it is in error, or switches the app off");
            Err(Refused::new(StatusCode::NOT_FOUND, detail, &asked))
        }
    }
}
