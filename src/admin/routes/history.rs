//! What served, and going back to it.

use aide::axum::routing::{get_with, post_with};
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use serde::{Deserialize, Serialize};

use super::apps::named;
use super::{Group, guarded};
use crate::admin::answer::{Answer, AppPath, Plain, Refused};
use crate::admin::api::Api;
use crate::admin::input::{MaybeTold, bodied};
use crate::control::{AppId, History, PinnedVersion, Refusal};

/// What `POST /apps/{id}/rollback` may be told; nothing at all is the version before the one that serves.
#[derive(Debug, Default, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rollback")]
pub(in crate::admin) struct Wanted {
    /// Its number in the history, its digest or the beginning of that, or `previous`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::admin) version: Option<VersionName>,
}

/// A version, as a request names it.
#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(untagged)]
pub(in crate::admin) enum VersionName {
    /// JSON has one kind of numbers: `2.0` is a whole one, too.
    Number(#[schemars(with = "u64")] serde_json::Number),
    Text(String),
}

impl VersionName {
    fn text(self) -> String {
        match self {
            Self::Number(number) => match number.as_f64() {
                Some(whole) if number.is_f64() && whole.fract() == 0.0 => format!("{whole:.0}"),
                _ => number.to_string(),
            },
            Self::Text(text) => text,
        }
    }
}

pub(super) fn routes() -> Group {
    Group::new()
        .api_route(
            "/apps/{id}/history",
            get_with(history, |operation| {
                let operation = operation.id("history").summary("The versions of an app that have served");
                named(guarded(operation), "No file names that app.")
                    .response_with::<200, Answer<History>, _>(|response| response.description("The newest first."))
            }),
        )
        .api_route(
            "/apps/{id}/rollback",
            post_with(roll_back, |operation| {
                let operation = operation
                    .id("rollBack")
                    .summary("Goes back to a version that served, until the app's file changes");
                bodied(named(guarded(operation), "No file names that app."))
                    .response_with::<200, Answer<PinnedVersion>, _>(|response| response.description("It serves."))
                    .response_with::<409, Refused, _>(|response| {
                        response.description("It can't be had, or the app is not one that could serve it; nothing has changed.")
                    })
            })
            .delete_with(undo, |operation| {
                let operation = operation.id("undoRollback").summary("Ends an app's pin");
                named(guarded(operation), "No file names that app.")
                    .response_with::<202, Plain, _>(|response| {
                        response.description("What its file asks for is deployed; the status tells how that ends.")
                    })
                    .response_with::<409, Refused, _>(|response| response.description("It is not pinned."))
            }),
        )
}

async fn history(
    State(api): State<Api>,
    AppPath(id): AppPath,
    asked: Uri,
) -> Result<Answer<History>, Refused> {
    let history = api.sources.supervisor.history(AppId::new(&id)).await;
    history.map(Answer).map_err(|refusal| refused(&refusal, &asked))
}

/// Answers when the version serves.
async fn roll_back(
    State(api): State<Api>,
    AppPath(id): AppPath,
    asked: Uri,
    MaybeTold(wanted): MaybeTold<Wanted>,
) -> Result<Answer<PinnedVersion>, Refused> {
    let version = wanted.and_then(|wanted: Wanted| wanted.version);
    let version = version.map(VersionName::text);
    let pinned = api.sources.supervisor.roll_back(AppId::new(&id), version).await;
    pinned.map(Answer).map_err(|refusal| refused(&refusal, &asked))
}

async fn undo(State(api): State<Api>, AppPath(id): AppPath, asked: Uri) -> Result<Plain, Refused> {
    let undone = api.sources.supervisor.undo_rollback(AppId::new(&id)).await;
    undone.map_err(|refusal| refused(&refusal, &asked))?;
    Ok(Plain::nothing(StatusCode::ACCEPTED))
}

/// The answer to a command that was refused.
pub(super) fn refused(refusal: &Refusal, asked: &Uri) -> Refused {
    let status = match refusal {
        Refusal::NoSuchApp(_) => StatusCode::NOT_FOUND,
        Refusal::NeverServed { .. } => StatusCode::UNPROCESSABLE_ENTITY,
        Refusal::Disabled(_)
        | Refusal::NoFile(_)
        | Refusal::Unavailable { .. }
        | Refusal::Waits { .. }
        | Refusal::NotPinned(_)
        | Refusal::NoBackup { .. }
        | Refusal::Superseded => StatusCode::CONFLICT,
    };
    Refused::new(status, refusal.to_string(), asked)
}
