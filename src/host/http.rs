//! `wasi:http` going out: what an instance may reach, and which way it goes
//! (`docs/contract/host-interfaces.md §4, §5.5`, `docs/contract/http-trigger.md §9, §10`).

use std::future::Future;
use std::sync::{Arc, Weak};

use http::Uri;
use http_body_util::BodyExt;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::early_answer::may_come_early;
use super::permission::OutboundPermission;
use crate::net::{HttpClients, SendError, Timeouts};
use crate::runtime::{DispatchError, LocalDispatch};
use crate::telemetry::{self, CurrentSpan};

/// The domain below which the components of an app reach each other.
const CHAIN_DOMAIN: &str = ".spin.internal";
/// The scheme of a URL that has none.
const DEFAULT_SCHEME: &str = "https";
/// The host name by which an app reaches itself; an empty host means the same.
const SELF_HOST: &str = "self.alt";

/// What all instances of one component share for their outbound requests.
#[derive(Clone)]
pub struct OutboundHttp {
    pub clients: HttpClients<WasiBody>,
    pub permission: Arc<OutboundPermission>,
    /// The app's own routes, gone when the app is; none outside HTTP.
    pub local: Option<Weak<dyn LocalDispatch>>,
}

/// The hooks of one instance.
struct OutboundHooks {
    outbound: OutboundHttp,
    depth: u8,
    span: CurrentSpan,
}

impl OutboundHttp {
    /// Hooks for an instance that answers a request at `depth` chained calls.
    pub fn hooks(&self, depth: u8, span: CurrentSpan) -> Box<dyn WasiHttpHooks> {
        Box::new(OutboundHooks {
            outbound: self.clone(),
            depth,
            span,
        })
    }
}

type Sent = Result<
    (
        http::Response<WasiBody>,
        Box<dyn Future<Output = Result<(), Error>> + Send>,
    ),
    Error,
>;

/// What a guest has written of a body and nobody has taken yet: so many pieces of so many bytes, a megabyte together.
const BUFFERED_CHUNKS: usize = 4;
const CHUNK: usize = 256 << 10;

impl WasiHttpHooks for OutboundHooks {
    /// The client derives `host` from the authority, for HTTP/1.1 alone.
    fn set_host_header(&mut self) -> bool {
        false
    }

    /// More than one, so that a guest with a short answer need not wait for the client.
    fn p2_outgoing_body_buffer_chunks(&mut self) -> usize {
        BUFFERED_CHUNKS
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK
    }

    fn send_request(
        &mut self,
        mut request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        // Told by the guest's side when it stops reading; the body's own drop says the same here.
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let outbound = self.outbound.clone();
        let depth = self.depth + 1;
        let told = telemetry::outbound(self.span.get(), &mut request);
        if let Some(told) = &told {
            // For what the app's own routes do with it.
            request.extensions_mut().insert(told.span().clone());
        }
        Box::new(async move {
            let sent = outbound.send(may_come_early(request), options, depth).await;
            if let Some(told) = &told {
                match &sent {
                    Ok(response) => told.answered(response.status()),
                    Err(error) => told.failed(error.to_string()),
                }
            }
            let response = sent?;
            Ok((
                response,
                Box::new(async { Ok(()) }) as Box<dyn Future<Output = _> + Send>,
            ))
        })
    }
}

impl OutboundHttp {
    async fn check(&self, uri: &Uri) -> Result<(), Error> {
        match self.permission.allows(&uri.to_string(), DEFAULT_SCHEME).await {
            true => Ok(()),
            false => Err(Error::HttpRequestDenied),
        }
    }

    fn own_app(&self) -> Result<Arc<dyn LocalDispatch>, Error> {
        let local = self.local.as_ref().ok_or(Error::HttpRequestUriInvalid)?;
        local.upgrade().ok_or(Error::ConnectionTerminated)
    }

    async fn send(
        &self,
        request: http::Request<WasiBody>,
        options: Option<RequestOptions>,
        depth: u8,
    ) -> Result<http::Response<WasiBody>, Error> {
        let target = match Target::of(request.uri())? {
            // Outside HTTP there is no app to reach, and the name is an ordinary one.
            Target::Component(_) if self.local.is_none() => Target::Elsewhere,
            target => target,
        };
        match target {
            Target::Component(component) => {
                self.check(request.uri()).await?;
                let component = component.to_owned();
                let local = self.own_app()?;
                local
                    .chain(&component, request, depth)
                    .await
                    .map_err(dispatch_error)
            }
            Target::Itself => {
                if !self.permission.allows_self().await {
                    return Err(Error::HttpRequestDenied);
                }
                let local = self.own_app()?;
                local.to_self(request, depth).await.map_err(dispatch_error)
            }
            Target::Elsewhere => {
                self.check(request.uri()).await?;
                let timeouts = options.map_or_else(Timeouts::default, |options| Timeouts {
                    connect: options.connect_timeout,
                    first_byte: options.first_byte_timeout,
                    between_bytes: options.between_bytes_timeout,
                });
                let client = self.clients.of_host(request.uri().host().unwrap_or_default());
                let response = client.send(request, timeouts).await.map_err(send_error)?;
                Ok(response.map(|body| body.map_err(send_error).boxed_unsync()))
            }
        }
    }
}

pub(super) enum Target<'a> {
    Component(&'a str),
    Itself,
    Elsewhere,
}

impl Target<'_> {
    pub(super) fn of(uri: &Uri) -> Result<Target<'_>, Error> {
        let host = uri.authority().ok_or(Error::HttpRequestUriInvalid)?.host();
        Ok(match host {
            "" | SELF_HOST => Target::Itself,
            _ => match host.strip_suffix(CHAIN_DOMAIN) {
                Some(component) => Target::Component(component),
                None => Target::Elsewhere,
            },
        })
    }
}

/// Spin makes the caller trap when the component does not exist; an error that names it is better.
fn dispatch_error(error: DispatchError) -> Error {
    match error {
        DispatchError::NoSuchComponent(_) => Error::InternalError(Some(error.to_string())),
        DispatchError::TooDeep => Error::LoopDetected,
        DispatchError::Stopped => Error::ConnectionTerminated,
    }
}

/// The error code that the guest is shown (`docs/contract/host-interfaces.md §5.5`).
fn send_error(error: SendError) -> Error {
    match error {
        SendError::NoHost => Error::HttpRequestUriInvalid,
        SendError::Resolve(_) => Error::DnsError {
            rcode: Some("address not available".into()),
            info_code: Some(0),
        },
        SendError::InvalidName => Error::DnsError {
            rcode: Some("invalid dns name".into()),
            info_code: Some(0),
        },
        SendError::Blocked => Error::DestinationIpProhibited,
        SendError::NoConnectionsAllowed => Error::ConnectionLimitReached,
        SendError::Connect(_) => Error::ConnectionRefused,
        SendError::ConnectTimeout => Error::ConnectionTimeout,
        SendError::ReadTimeout => Error::ConnectionReadTimeout,
        SendError::Certificate(_) | SendError::TlsAlert(_) | SendError::Tls(_) => {
            // The guest is told no more than that; whoever looks after it has to know why.
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "a TLS handshake of a guest's request failed"
            );
            Error::TlsProtocolError
        }
        SendError::Terminated | SendError::Protocol(_) => Error::HttpProtocolError,
    }
}
