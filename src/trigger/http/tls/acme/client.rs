//! Requests to an authority, over this program's own client.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Limited;
use instant_acme::{BodyWrapper, BytesResponse, Error};

use crate::net::{ClientSettings, HttpClient, Timeouts, TlsError, TlsSettings};

/// How long an authority may take for each step of an answer.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of an answer; a certificate chain is a few thousand.
const MAX_ANSWER: usize = 1 << 20;

/// Asks authorities. A cheap handle.
#[derive(Clone)]
pub(super) struct AuthorityClient(HttpClient<BodyWrapper<Bytes>>);

impl AuthorityClient {
    /// Trusts the system's roots, and those in `ca`.
    pub(super) fn new(ca: Option<&Path>) -> Result<Self, TlsError> {
        let tls = TlsSettings {
            platform_roots: true,
            webpki_roots: false,
            roots_file: ca.map(Path::to_owned),
            client_certificate: None,
        };
        Ok(Self(HttpClient::new(ClientSettings {
            tls: Arc::new(tls.client_config()?),
            ..ClientSettings::default()
        })))
    }
}

impl instant_acme::HttpClient for AuthorityClient {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let timeouts = Timeouts {
                connect: Some(TIMEOUT),
                first_byte: Some(TIMEOUT),
                between_bytes: Some(TIMEOUT),
            };
            let response = client.send(request, timeouts).await;
            let response = response.map_err(|error| Error::Other(error.into()))?;
            Ok(response.map(|body| Limited::new(body, MAX_ANSWER)).into())
        })
    }
}
