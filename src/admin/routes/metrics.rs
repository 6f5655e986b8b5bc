//! The numbers for Prometheus.

use std::sync::Arc;

use aide::axum::routing::get_with;
use axum::Extension;
use axum::http::{StatusCode, Uri};
use serde_json::json;

use super::{Group, guarded};
use crate::admin::answer::{Plain, Refused, described};
use crate::admin::api::Sources;
use crate::admin::exposition::{Exposition, OPEN_METRICS};

/// `open`: anybody may read them.
pub(super) fn routes(sources: &Arc<Sources>, open: bool) -> Group {
    let route = get_with(metrics, |operation| {
        let operation = operation.id("metrics").summary("The numbers for Prometheus");
        let operation = if open { operation } else { guarded(operation) };
        operation.response_with::<200, Plain, _>(|mut response| {
            *response.inner() = described(OPEN_METRICS, json!({"type": "string"}));
            response.description("OpenMetrics text.")
        })
    });
    Group::new()
        .api_route("/metrics", route)
        .layer(Extension(Exposition::new(sources)))
}

async fn metrics(Extension(exposition): Extension<Exposition>, asked: Uri) -> Result<Plain, Refused> {
    let text = exposition.text().map_err(|_| {
        let detail = "the numbers can't be written";
        Refused::new(StatusCode::INTERNAL_SERVER_ERROR, detail, &asked)
    })?;
    Ok(Plain::text(OPEN_METRICS, text))
}
