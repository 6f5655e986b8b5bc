//! A guest as people write them: Spin's Rust SDK 6, whose `wasi:http` is 0.3.0-rc-2026-03-15.

use spin_sdk::http::{IntoResponse, Request};
use spin_sdk::http_service;

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let mounted = std::fs::read_to_string("/greeting.txt").unwrap_or_else(|_| "hello".into());
    let version = std::env::var("VERSION").unwrap_or_default();
    format!(
        "{} from SDK 6 {version}\n{} {}\n",
        mounted.trim(),
        request.method(),
        request.uri()
    )
}
