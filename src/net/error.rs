//! Why a request could not be sent, or its response not be read.

use std::sync::Arc;

use rustls::pki_types::InvalidDnsNameError;

use super::outbound::ReachError;

/// What went wrong on the way to another host. Cloneable, because the pool may show one failed
/// connection to several requests.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SendError {
    #[error("the URI has no host")]
    NoHost,
    #[error("the name can't be resolved")]
    Resolve(#[source] Arc<std::io::Error>),
    #[error("every address of the host is in a network that the operator keeps the app out of")]
    Blocked,
    #[error("the operator allows no connections")]
    NoConnectionsAllowed,
    #[error("the host's name is none that a certificate could be for")]
    InvalidName,
    #[error("no connection")]
    Connect(#[source] Arc<std::io::Error>),
    #[error("no connection within the time given")]
    ConnectTimeout,
    #[error("nothing came back within the time given")]
    ReadTimeout,
    #[error("the other side's certificate is not trusted")]
    Certificate(#[source] rustls::Error),
    #[error("the other side ended the TLS handshake")]
    TlsAlert(rustls::AlertDescription),
    #[error("the TLS handshake failed")]
    Tls(#[source] rustls::Error),
    #[error("the other side closed the connection")]
    Terminated,
    #[error("the other side broke the HTTP protocol: {0}")]
    Protocol(Arc<str>),
}

impl SendError {
    /// The most telling error in the chain of one that came out of the pool.
    pub(super) fn from_pool(error: &hyper_util::client::legacy::Error) -> Self {
        let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
        let mut last = error.to_string();
        while let Some(cause) = next {
            last = cause.to_string();
            // An IO error hides what it was made of from `source`, and TLS comes in two of them.
            let mut inner = Some(cause);
            while let Some(error) = inner {
                if let Some(known) = Self::recognise(error) {
                    return known;
                }
                inner = error
                    .downcast_ref::<std::io::Error>()
                    .and_then(|io| io.get_ref())
                    .map(|inner| inner as &(dyn std::error::Error + 'static));
            }
            next = cause.source();
        }
        Self::Protocol(last.into())
    }

    pub(super) fn from_hyper(error: &hyper::Error) -> Self {
        Self::recognise(error).unwrap_or_else(|| Self::Protocol(error.to_string().into()))
    }

    fn recognise(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        if let Some(own) = error.downcast_ref::<Self>() {
            return Some(own.clone());
        }
        if error.is::<InvalidDnsNameError>() {
            return Some(Self::InvalidName);
        }
        if let Some(tls) = error.downcast_ref::<rustls::Error>() {
            return Some(match tls {
                rustls::Error::InvalidCertificate(_) => Self::Certificate(tls.clone()),
                rustls::Error::AlertReceived(alert) => Self::TlsAlert(*alert),
                _ => Self::Tls(tls.clone()),
            });
        }
        let hyper = error.downcast_ref::<hyper::Error>()?;
        (hyper.is_incomplete_message() || hyper.is_closed() || hyper.is_canceled())
            .then_some(Self::Terminated)
    }
}

impl From<ReachError> for SendError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Resolve(error) => Self::Resolve(Arc::new(error)),
            ReachError::Blocked => Self::Blocked,
            ReachError::Connect(error) => Self::Connect(Arc::new(error)),
            ReachError::NoConnectionsAllowed => Self::NoConnectionsAllowed,
        }
    }
}
