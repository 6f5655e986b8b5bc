//! The routes, by group. Each is described where it is named.

mod apps;
mod backup;
mod document;
mod health;
mod history;
mod logs;
mod metrics;
mod plan;
mod status;
mod traffic;

use aide::axum::ApiRouter;
use aide::openapi::OpenApi;
use aide::transform::TransformOperation;
use axum::Router;
use axum::http::{StatusCode, Uri};

use self::document::Document;
use super::answer::Refused;
use super::api::Api;
use super::page;

pub(super) use history::{VersionName, Wanted};

/// The media type of one JSON value a line.
const JSON_LINES: &str = "application/x-ndjson";
/// The name of the security scheme in the document.
const TOKEN: &str = "token";

/// All routes, without their guard.
#[derive(Clone)]
pub(super) struct Routes {
    /// Anybody may ask for these.
    pub(super) open: Router,
    /// For those who may.
    pub(super) guarded: Router,
}

impl Routes {
    /// All there is. `open_metrics`: anybody may read the numbers.
    pub(super) fn new(api: &Api, open_metrics: bool) -> Self {
        let numbers = metrics::routes(&api.sources, open_metrics);
        let (mut open, mut guarded) = (
            health::probes().merge(page::assets()),
            health::routes()
                .merge(status::routes())
                .merge(apps::routes())
                .merge(traffic::routes())
                .merge(logs::routes())
                .merge(history::routes())
                .merge(backup::routes())
                .merge(plan::routes())
                .merge(document::routes())
                .merge(page::routes()),
        );
        match open_metrics {
            true => open = open.merge(numbers),
            false => guarded = guarded.merge(numbers),
        }
        let mut description = OpenApi::default();
        let open = open.finish_api(&mut description);
        let guarded = guarded.finish_api_with(&mut description, document::describe);
        let document = Document::new(&description);
        let finish = |router: Router<Api>| {
            router
                .method_not_allowed_fallback(not_allowed)
                .layer(axum::Extension(document.clone()))
                .with_state(api.clone())
        };
        Self {
            open: finish(open),
            guarded: finish(guarded.fallback(not_found)),
        }
    }

    /// For whoever has passed another guard.
    pub(super) fn all(self) -> Router {
        self.open.merge(self.guarded)
    }
}

pub(super) type Group = ApiRouter<Api>;

/// What holds for each route that not anybody may ask for.
fn guarded(operation: TransformOperation<'_>) -> TransformOperation<'_> {
    operation
        .security_requirement(TOKEN)
        .response_with::<401, Refused, _>(|response| {
            response.description("At an address with tokens: the request has none that is known.")
        })
}

async fn not_found(asked: Uri) -> Refused {
    let detail = "nothing answers here: /openapi.json lists what does";
    Refused::new(StatusCode::NOT_FOUND, detail, &asked)
}

async fn not_allowed(asked: Uri) -> Refused {
    let detail = "this path does not know the method: /openapi.json lists those that it does";
    Refused::new(StatusCode::METHOD_NOT_ALLOWED, detail, &asked)
}
