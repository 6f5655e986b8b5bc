//! A server of language models: JSON is posted, JSON comes back.

use http::HeaderValue;
use http::header::AUTHORIZATION;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;

use super::backends::LlmBackends;
use super::bindings::fermyon::spin2_0_0::llm::Error;
use crate::errors::chain;
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};
use crate::variables::Secret;

/// Where it is and what it is asked with.
pub(super) struct Server {
    client: reqwest::Client,
    url: Url,
    authorization: HeaderValue,
}

/// What is wrong with its configuration.
#[derive(Debug, thiserror::Error)]
pub(super) enum ServerError {
    #[error("its `url` is no http or https address")]
    Url,
    #[error("its `auth_token` has characters that can't be sent in a header")]
    Token,
    #[error("no HTTP client can be made")]
    Client(#[source] reqwest::Error),
}

impl Server {
    pub(super) fn new(backends: &LlmBackends, url: &str, token: &Secret) -> Result<Self, ServerError> {
        let url = Url::parse(url).map_err(|_| ServerError::Url)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(ServerError::Url);
        }
        let mut authorization =
            HeaderValue::try_from(format!("bearer {}", token.expose())).map_err(|_| ServerError::Token)?;
        authorization.set_sensitive(true);
        Ok(Self {
            client: backends.client().map_err(ServerError::Client)?,
            url,
            authorization,
        })
    }

    /// `path` is absolute: what the configured address has of its own is replaced, as in Spin.
    pub(super) async fn post<A: DeserializeOwned>(
        &self,
        path: &str,
        question: &impl Serialize,
    ) -> Result<A, Error> {
        let failed = |what: String| Error::RuntimeError(format!("POST {path} {what}"));
        let mut url = self.url.clone();
        url.set_path(path);
        url.set_query(None);
        let body =
            serde_json::to_vec(question).map_err(|error| failed(format!("has no JSON form: {error}")))?;
        let request = self
            .client
            .post(url)
            .header(AUTHORIZATION, self.authorization.clone())
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(body);
        let broken = |error| failed(format!("request error: {}", told(error)));
        let mut response = request.send().await.map_err(broken)?;
        let mut answer = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(broken)? {
            if answer.len() + piece.len() > MAX_BUFFERED {
                return Err(Error::RuntimeError(TOO_LARGE.into()));
            }
            answer.extend_from_slice(&piece);
        }
        let status = response.status();
        // An error in the server's own form is understood whatever its status.
        serde_json::from_slice(&answer).map_err(|error| {
            if status.is_success() {
                failed(format!("got an answer that can't be understood: {error}"))
            } else {
                failed(format!("was answered with status {status}"))
            }
        })
    }
}

/// The error with its causes, without the address, which may hold a password.
fn told(error: reqwest::Error) -> String {
    chain(&error.without_url())
}
