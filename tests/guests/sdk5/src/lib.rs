//! A guest as people write them: Spin's Rust SDK 5, `wasi:http` 0.2.

use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;

#[http_component]
fn handle(request: Request) -> anyhow::Result<impl IntoResponse> {
    let mounted = std::fs::read_to_string("/greeting.txt").unwrap_or_else(|_| "hello".into());
    let version = std::env::var("VERSION").unwrap_or_default();
    let body = format!(
        "{} from SDK 5 {version}\n{} {}\n",
        mounted.trim(),
        request.method(),
        request.uri()
    );
    Ok(Response::builder()
        .status(200)
        .header("content-type", "text/plain")
        .body(body)
        .build())
}
