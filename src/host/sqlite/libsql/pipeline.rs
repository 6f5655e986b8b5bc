//! One request to the server and its reply.

use libsql_hrana::proto::{
    Error as ServerError, PipelineReqBody, PipelineRespBody, StreamRequest, StreamResult,
};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Client, Response, Url};

use super::super::connection::{Error, io};
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};

/// Bytes of a reply: base64 takes a third more than the bytes that it stands for, and JSON has some around each value.
const MAX_REPLY: usize = 2 * MAX_BUFFERED;
/// Bytes of a reply that says what went wrong.
const MAX_ERROR_REPLY: usize = 64 << 10;
const PATH: &str = "/v3/pipeline";

pub(super) struct Server {
    client: Client,
    base: String,
    authorization: Option<HeaderValue>,
}

/// Where a stream goes on.
pub(super) struct Position {
    baton: String,
    /// The server that has the stream, if it is another than the one first asked.
    base: Option<String>,
}

pub(super) enum Failure {
    /// The server no longer has the stream, and has run nothing.
    Expired(Error),
    Other(Error),
}

impl Failure {
    pub(super) fn into_error(self) -> Error {
        match self {
            Self::Expired(error) | Self::Other(error) => error,
        }
    }
}

impl Server {
    pub(super) fn new(client: Client, url: &Url, authorization: Option<HeaderValue>) -> Self {
        Self {
            client,
            base: url.as_str().trim_end_matches('/').to_owned(),
            authorization,
        }
    }

    /// Sends `requests` to the stream at `position`, or to a new one. The stream's new position is none when it has ended.
    pub(super) async fn send(
        &self,
        position: Option<Position>,
        requests: Vec<StreamRequest>,
    ) -> Result<(Option<Position>, Vec<StreamResult>), Failure> {
        let (baton, base) = match position {
            Some(position) => (Some(position.baton), position.base),
            None => (None, None),
        };
        let url = format!("{}{PATH}", base.as_deref().unwrap_or(&self.base));
        let body = PipelineReqBody { baton, requests };
        let body =
            serde_json::to_vec(&body).map_err(|error| other(format_args!("can't be sent: {error}")))?;
        let mut request = self
            .client
            .post(url)
            .header(CONTENT_TYPE, "application/json")
            .body(body);
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let response = request.send().await.map_err(unreachable)?;
        if !response.status().is_success() {
            return Err(refusal(response).await);
        }
        let body = read(response, MAX_REPLY).await?;
        let reply: PipelineRespBody = serde_json::from_slice(&body).map_err(|error| {
            other(format_args!(
                "the libSQL server's reply can't be understood: {error}"
            ))
        })?;
        let base = reply.base_url.or(base);
        let position = reply.baton.map(|baton| Position {
            baton,
            base: base.map(|base| base.trim_end_matches('/').to_owned()),
        });
        Ok((position, reply.results))
    }
}

async fn read(mut response: Response, limit: usize) -> Result<Vec<u8>, Failure> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
        if body.len() + chunk.len() > limit {
            return Err(other(TOO_LARGE));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What a reply without success says.
async fn refusal(response: Response) -> Failure {
    let status = response.status();
    let body = match read(response, MAX_ERROR_REPLY).await {
        Ok(body) => body,
        Err(failure) => return failure,
    };
    match serde_json::from_slice::<ServerError>(&body) {
        Ok(error) if error.code == "STREAM_EXPIRED" || error.code.starts_with("BATON_") => {
            Failure::Expired(io(error.message))
        }
        Ok(error) => Failure::Other(io(error.message)),
        Err(_) => other(format_args!("the libSQL server answered {status}")),
    }
}

/// The address is not for guests.
fn unreachable(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let cause = std::iter::successors(std::error::Error::source(&error), |error| error.source()).last();
    match cause {
        Some(cause) => other(format_args!("the libSQL server can't be reached: {cause}")),
        None => other(format_args!("the libSQL server can't be reached: {error}")),
    }
}

fn other(text: impl std::fmt::Display) -> Failure {
    Failure::Other(io(text))
}
