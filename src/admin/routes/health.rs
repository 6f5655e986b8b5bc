//! Whether the daemon lives, is ready, and is well.

use aide::axum::routing::get_with;
use axum::extract::State;
use axum::http::{StatusCode, Uri};

use super::{Group, guarded};
use crate::admin::answer::{Plain, Refused};
use crate::admin::api::Api;
use crate::admin::readiness::missing;

/// For probes, which have no token.
pub(super) fn probes() -> Group {
    Group::new()
        .api_route(
            "/livez",
            get_with(live, |operation| {
                operation
                    .id("livez")
                    .summary("Whether the daemon lives")
                    .response_with::<200, Plain, _>(|response| response.description("It does."))
            }),
        )
        .api_route(
            "/readyz",
            get_with(ready, |operation| {
                operation
                    .id("readyz")
                    .summary("Whether requests should be sent to this daemon")
                    .response_with::<200, Plain, _>(|response| {
                        response.description(
                            "They should: the directory or list has been read, and every app of it has started, has failed or waits, or has had 10 seconds for that.",
                        )
                    })
                    .response_with::<503, Refused, _>(|response| {
                        response.description("Not yet, or no longer: the daemon has been told to end.")
                    })
            }),
        )
}

pub(super) fn routes() -> Group {
    Group::new().api_route(
        "/health",
        get_with(health, |operation| {
            let operation = operation.id("health").summary("Whether the daemon is to end");
            guarded(operation)
                .response_with::<200, Plain, _>(|response| response.description("It is not."))
                .response_with::<503, Plain, _>(|response| response.description("It has been told to end."))
        }),
    )
}

async fn live() -> Plain {
    Plain::nothing(StatusCode::OK)
}

async fn ready(State(api): State<Api>, asked: Uri) -> Result<Plain, Refused> {
    if api.sources.lame_duck.is_cancelled() {
        return Err(unready("the daemon has been told to end", &asked));
    }
    if api.ready.is_cancelled() {
        return Ok(Plain::nothing(StatusCode::OK));
    }
    let detail = missing(&api.sources.status.borrow());
    Err(unready(detail, &asked))
}

fn unready(detail: impl Into<std::borrow::Cow<'static, str>>, asked: &Uri) -> Refused {
    Refused::new(StatusCode::SERVICE_UNAVAILABLE, detail, asked)
}

async fn health(State(api): State<Api>) -> Plain {
    Plain::nothing(match api.sources.lame_duck.is_cancelled() {
        true => StatusCode::SERVICE_UNAVAILABLE,
        false => StatusCode::OK,
    })
}
