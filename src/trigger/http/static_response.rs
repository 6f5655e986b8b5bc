//! Responses that a manifest spells out (`docs/contract/http-trigger.md §1`).

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use wasmtime_wasi_http::WasiBody;

use super::config::StaticResponseConfig;
use super::respond::full;

/// A response without a guest: the same for every method, nothing but what the manifest lists.
pub(super) struct StaticResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

/// What a manifest spells out wrongly.
#[derive(Debug, thiserror::Error)]
pub enum StaticResponseError {
    #[error("{0} is not an HTTP status")]
    Status(u16),
    #[error("`{0}` is not a header that can be sent")]
    Header(String),
}

impl StaticResponse {
    pub(super) fn new(config: &StaticResponseConfig) -> Result<Self, StaticResponseError> {
        let status = StatusCode::from_u16(config.status_code)
            .map_err(|_| StaticResponseError::Status(config.status_code))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let bad = || StaticResponseError::Header(name.clone());
            let header = HeaderName::try_from(name).map_err(|_| bad())?;
            headers.insert(header, HeaderValue::try_from(value).map_err(|_| bad())?);
        }
        let body = Bytes::from(config.body.clone().unwrap_or_default());
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    pub(super) fn respond(&self) -> Response<WasiBody> {
        let mut response = Response::new(full(self.body.clone()));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers.clone();
        response
    }
}
