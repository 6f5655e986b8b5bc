//! Logging in with a browser, and out again.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use url::form_urlencoded;

use super::guard::Guard;
use super::page;
use super::session::LIFE;
use super::token::TokenDigest;

/// Bytes of a form: a token is shorter.
const MAX_FORM: usize = 16 << 10;

pub(super) fn routes(guard: Guard) -> Router {
    Router::new()
        // Where a browser is after a form that was refused.
        .route("/login", get(async || Redirect::to(page::PATH)).post(log_in))
        .route("/logout", post(log_out))
        .with_state(guard)
}

async fn log_in(State(guard): State<Guard>, body: Body) -> Response {
    let Ok(form) = to_bytes(body, MAX_FORM).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let mut fields = form_urlencoded::parse(&form);
    let token = fields.find_map(|(name, value)| (name == "token").then_some(value));
    let token = TokenDigest::of(token.as_deref().unwrap_or_default().trim());
    match guard.tokens.has(token).await {
        Ok(()) => {
            let session = guard.sessions.open(token);
            let cookie = cookie(&guard, &session, LIFE.as_secs());
            (
                AppendHeaders([(header::SET_COOKIE, cookie)]),
                Redirect::to(page::PATH),
            )
                .into_response()
        }
        Err(refused) => page::login(Some(refused)),
    }
}

async fn log_out(State(guard): State<Guard>, headers: HeaderMap) -> Response {
    guard.sessions.close(&headers);
    let cookie = cookie(&guard, "", 0);
    (
        AppendHeaders([(header::SET_COOKIE, cookie)]),
        Redirect::to(page::PATH),
    )
        .into_response()
}

fn cookie(guard: &Guard, value: &str, seconds: u64) -> String {
    let name = guard.sessions.cookie();
    let secure = if guard.secure { "; Secure" } else { "" };
    format!("{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}")
}
