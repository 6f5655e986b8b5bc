//! What the HTML refers to: the same for everybody, and part of the program.

use axum::extract::Path;
use axum::http::{HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::admin::routes::Group;

const SCRIPT: &str = "text/javascript; charset=utf-8";
const STYLE: &str = "text/css; charset=utf-8";

/// Name, media type, content.
const FILES: [(&str, &str, &str); 7] = [
    ("page.css", STYLE, include_str!("page.css")),
    ("page.js", SCRIPT, include_str!("page.js")),
    ("app.js", SCRIPT, include_str!("app.js")),
    ("plots.js", SCRIPT, include_str!("plots.js")),
    ("icon.svg", "image/svg+xml", include_str!("icon.svg")),
    // https://github.com/leeoniya/uPlot, MIT: vendor/uPlot.LICENSE.
    (
        "uPlot.iife.min.js",
        SCRIPT,
        include_str!("vendor/uPlot.iife.min.js"),
    ),
    ("uPlot.min.css", STYLE, include_str!("vendor/uPlot.min.css")),
];

pub(in crate::admin) fn routes() -> Group {
    Group::new().route("/page/{name}", get(file))
}

async fn file(Path(name): Path<String>) -> Response {
    let Some((_, media_type, content)) = FILES.iter().find(|(known, ..)| *known == name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers: [(HeaderName, &str); 3] = [
        (header::CONTENT_TYPE, media_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        // The next version of the program has others.
        (header::CACHE_CONTROL, "no-cache"),
    ];
    (headers, *content).into_response()
}
