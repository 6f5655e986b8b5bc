//! Who is answered at an address with tokens: whoever sends one, and browsers in which somebody has logged in with one.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::answer::Refused;
use super::page;
use super::session::Sessions;
use super::token::Tokens;

/// How clients are told what is asked of them.
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"lepton\"");

/// What decides. A cheap handle.
#[derive(Clone)]
pub(super) struct Guard {
    pub(super) tokens: Tokens,
    pub(super) sessions: Sessions,
    /// Clients come by TLS.
    pub(super) secure: bool,
}

/// Marks a request that a session's cookie has let pass.
#[derive(Clone, Copy)]
pub(super) struct LoggedIn;

impl Guard {
    pub(super) fn new(tokens: Tokens, secure: bool) -> Self {
        Self {
            tokens,
            sessions: Sessions::new(),
            secure,
        }
    }

    /// A session ends with its token.
    async fn is_logged_in(&self, headers: &HeaderMap) -> bool {
        match self.sessions.token(headers) {
            Some(token) => self.tokens.has(token).await.is_ok(),
            None => false,
        }
    }
}

/// Lets only those pass who may ask. Whoever asks for the page is shown how to log in.
pub(super) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    let headers = request.headers();
    let shows_token = headers.contains_key(header::AUTHORIZATION);
    if !shows_token && guard.is_logged_in(headers).await {
        request.extensions_mut().insert(LoggedIn);
        return next.run(request).await;
    }
    let Some(detail) = guard.tokens.refuse(headers).await else {
        return next.run(request).await;
    };
    let is_page = request.method() == Method::GET && request.uri().path() == page::PATH;
    let refused = match is_page && !shows_token {
        true => page::login(None),
        false => Refused::new(StatusCode::UNAUTHORIZED, detail, request.uri()).into_response(),
    };
    ([(header::WWW_AUTHENTICATE, CHALLENGE)], refused).into_response()
}
