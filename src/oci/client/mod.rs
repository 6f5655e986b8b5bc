//! The pull half of the distribution protocol.
//!
//! `oci-client` gives the reference type only: its requests hide the headers of an error answer, so that
//! `Retry-After` could not be honoured, and read manifests of any size; it also keeps credentials for ever.

mod answer;
mod challenge;
mod login;
mod tls;
mod token;
mod transport;

use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable as _};
use reqwest::header::{ACCEPT, AUTHORIZATION, CONTENT_RANGE, RANGE};
use reqwest::{Method, Response, StatusCode};

use super::auth::CredentialSources;
use super::digest::Digest;
use super::error::{OciError, blocking};
use super::manifest::{self, Descriptor};
use super::progress::ProgressItem;
use super::reference::Reference;
use super::store::{BlobWriter, StoreError};
use token::Tokens;
use transport::{STALL_TIMEOUT, Transport, failed};

/// First wait after a failure that may pass; it doubles, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(300);
/// Tries after the first. What lasts longer is the supervisor's to retry.
const RETRIES: usize = 3;
/// The longest wait that is sat out here; a registry that asks for more gets it from the supervisor.
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Bytes gathered before they are hashed and written away from the async worker.
const WRITE_CHUNK: usize = 512 * 1024;
/// The digest of a manifest, told by the registry.
const CONTENT_DIGEST: &str = "docker-content-digest";

/// A handle on all registries; clones share connections, tokens and what is known of hosts.
#[derive(Debug, Clone)]
pub(crate) struct Client(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    transport: Transport,
    tokens: Tokens,
}

impl Client {
    /// See [`PullerConfig`](super::PullerConfig) for the arguments.
    pub(crate) fn new(
        insecure: Vec<String>,
        ca_files: &[PathBuf],
        credentials: CredentialSources,
    ) -> Result<Client, OciError> {
        let transport = Transport::new(insecure, ca_files, STALL_TIMEOUT)?;
        Ok(Client(Arc::new(Inner {
            transport,
            tokens: Tokens::new(credentials),
        })))
    }

    /// The digest of what `name` (a tag) means now, without its content; `None` when the registry does not say.
    pub(crate) async fn head(&self, reference: &Reference, name: &str) -> Result<Option<Digest>, OciError> {
        let path = format!("manifests/{name}");
        let what = || format!("{}:{name}", reference.repository());
        patiently(|| async {
            let response = self.send(Method::HEAD, reference, &path, 0, &what()).await?;
            let header = response
                .headers()
                .get(CONTENT_DIGEST)
                .and_then(|value| value.to_str().ok());
            Ok(header.and_then(|digest| Digest::parse(digest).ok()))
        })
        .await
    }

    /// The bytes of the manifest that `name` (a tag or digest) means, with at most `limit` bytes.
    pub(crate) async fn manifest(
        &self,
        reference: &Reference,
        name: &str,
        limit: u64,
    ) -> Result<Vec<u8>, OciError> {
        let path = format!("manifests/{name}");
        let separator = if name.contains(':') { '@' } else { ':' };
        let what = || format!("{}{separator}{name}", reference.repository());
        patiently(|| async {
            let mut response = self.send(Method::GET, reference, &path, 0, &what()).await?;
            answer::body(
                reference.host(),
                &mut response,
                limit,
                &format!("the manifest of {}", what()),
            )
            .await
        })
        .await
    }

    /// The index of the manifests of the type `kind` that refer to `digest`, as far as the registry keeps to that; `None`:
    /// there is none. Registries that have no such list are asked for the tag that stands for it.
    pub(crate) async fn referrers(
        &self,
        reference: &Reference,
        digest: &Digest,
        kind: &str,
        limit: u64,
    ) -> Result<Option<Vec<u8>>, OciError> {
        let kind: String = url::form_urlencoded::byte_serialize(kind.as_bytes()).collect();
        let path = format!("referrers/{digest}?artifactType={kind}");
        let what = || format!("what refers to {}@{digest}", reference.repository());
        let listed = patiently(|| async {
            let mut response = self.send(Method::GET, reference, &path, 0, &what()).await?;
            answer::body(reference.host(), &mut response, limit, &what()).await
        });
        match listed.await {
            Err(OciError::NotFound { .. } | OciError::Unexpected { .. }) => {}
            listed => return listed.map(Some),
        }
        let tag = format!("sha256-{}", digest.hex());
        match self.manifest(reference, &tag, limit).await {
            Err(OciError::NotFound { .. }) => Ok(None),
            index => index.map(Some),
        }
    }

    /// Writes the blob into `writer`. A broken transfer goes on where it stopped, if the registry can do that.
    pub(crate) async fn blob(
        &self,
        reference: &Reference,
        blob: &Descriptor,
        writer: BlobWriter,
        progress: &dyn ProgressItem,
    ) -> Result<BlobWriter, OciError> {
        // Out of reach of a failed try, so that the next one finds what was written.
        let writer = tokio::sync::Mutex::new(Some(writer));
        let writer = &writer;
        patiently(|| async move {
            let mut slot = writer.lock().await;
            let transfer = Transfer {
                client: self,
                reference,
                blob,
                progress,
            };
            transfer.run(&mut slot).await
        })
        .await?;
        // Only a panic in the writing task, which is passed on, leaves the slot empty.
        writer.lock().await.take().ok_or(OciError::Cancelled)
    }

    /// Sends one request below the repository, with authorization as the registry demands it. `from` asks for the body
    /// from that byte on. The answer is a success.
    async fn send(
        &self,
        method: Method,
        reference: &Reference,
        path: &str,
        from: u64,
        what: &str,
    ) -> Result<Response, OciError> {
        let Inner { transport, tokens } = &*self.0;
        let host = reference.host();
        let scheme = transport.scheme(host).await?.name();
        let url = format!("{scheme}://{host}/v2/{}/{path}", reference.repository());
        let mut authorization = tokens.current(reference).await;
        let mut renewed = false;
        loop {
            let mut request = transport
                .client(host)
                .request(method.clone(), &url)
                .header(ACCEPT, manifest::ACCEPT);
            if let Some(header) = &authorization {
                request = request.header(AUTHORIZATION, header.clone());
            }
            if from > 0 {
                request = request.header(RANGE, format!("bytes={from}-"));
            }
            let mut response = request.send().await.map_err(|e| {
                transport.forget(host);
                failed(host, e)
            })?;
            match response.status() {
                status if status.is_success() => return Ok(response),
                StatusCode::UNAUTHORIZED if !renewed => {
                    renewed = true;
                    let tried = authorization.as_ref();
                    authorization = Some(
                        tokens
                            .renew(transport, reference, response.headers(), tried)
                            .await?,
                    );
                }
                StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                    let detail = answer::detail(&mut response).await;
                    return Err(tokens.denied(reference, detail).await);
                }
                status => {
                    // How a server of TLS answers plain http: it was taken for the other kind.
                    if status == StatusCode::BAD_REQUEST {
                        transport.forget(host);
                    }
                    return Err(answer::error(host, what, &mut response).await);
                }
            }
        }
    }
}

/// One try at a blob.
struct Transfer<'a> {
    client: &'a Client,
    reference: &'a Reference,
    blob: &'a Descriptor,
    progress: &'a dyn ProgressItem,
}

impl Transfer<'_> {
    async fn run(&self, slot: &mut Option<BlobWriter>) -> Result<(), OciError> {
        let written = slot.as_ref().map_or(0, BlobWriter::written);
        if written > 0 && written == self.blob.size {
            return Ok(());
        }
        let path = format!("blobs/{}", self.blob.digest);
        let what = format!("blob {} of {}", self.blob.digest, self.reference.repository());
        let mut response = self
            .client
            .send(Method::GET, self.reference, &path, written, &what)
            .await?;
        if written > 0 && !continues(&response, written) {
            if let Some(writer) = slot.as_mut() {
                writer.restart().map_err(OciError::Store)?;
            }
            self.progress.retract(written);
        }
        let host = self.reference.host();
        let mut chunk = Vec::with_capacity(WRITE_CHUNK);
        let broken = loop {
            match response.chunk().await {
                Ok(Some(bytes)) => {
                    self.progress.advance(bytes.len() as u64);
                    chunk.extend_from_slice(&bytes);
                    if chunk.len() >= WRITE_CHUNK {
                        self.write(slot, std::mem::take(&mut chunk)).await?;
                    }
                }
                Ok(None) => break None,
                Err(error) => break Some(failed(host, error)),
            }
        };
        // Also what came before the break: the next try goes on behind it.
        self.write(slot, chunk).await?;
        match broken {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    async fn write(&self, slot: &mut Option<BlobWriter>, chunk: Vec<u8>) -> Result<(), OciError> {
        let Some(mut writer) = slot.take() else {
            return Err(OciError::Cancelled);
        };
        let (writer, result) = blocking(move || {
            let result = writer.write(&chunk);
            Ok((writer, result))
        })
        .await?;
        *slot = Some(writer);
        result.map_err(|error| self.explain(error))
    }

    fn explain(&self, error: StoreError) -> OciError {
        match error {
            StoreError::TooLarge { limit } => OciError::TooLarge {
                what: format!("blob {} of {}", self.blob.digest, self.reference),
                limit,
                unit: "bytes, which its manifest states",
            },
            other => OciError::Store(other),
        }
    }
}

/// Whether the answer is the part from byte `from` on.
fn continues(response: &Response, from: u64) -> bool {
    let range = response
        .headers()
        .get(CONTENT_RANGE)
        .and_then(|value| value.to_str().ok());
    response.status() == StatusCode::PARTIAL_CONTENT
        && range.is_some_and(|range| range.starts_with(&format!("bytes {from}-")))
}

/// Tries again, with growing jittered waits, what may pass by itself; waits as long as the registry asks, within reason.
async fn patiently<T, F: Future<Output = Result<T, OciError>>>(
    work: impl FnMut() -> F,
) -> Result<T, OciError> {
    let backoff = ExponentialBuilder::default()
        .with_min_delay(FIRST_WAIT)
        .with_max_delay(LONGEST_WAIT)
        .with_max_times(RETRIES)
        .with_jitter();
    work.retry(backoff)
        .sleep(tokio::time::sleep)
        .when(OciError::is_transient)
        .adjust(|error, wait| match (wait, error.retry_after()) {
            (Some(_), Some(asked)) if asked > LONGEST_WAIT => None,
            (Some(wait), Some(asked)) => Some(wait.max(asked)),
            (wait, None) => wait,
            (None, Some(_)) => None,
        })
        .notify(|error, wait| {
            tracing::debug!(
                error = error as &dyn std::error::Error,
                ?wait,
                "registry request is tried again"
            );
        })
        .await
}

#[cfg(test)]
mod tests;
