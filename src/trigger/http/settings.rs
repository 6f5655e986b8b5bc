//! What the operator sets for every listener.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use crate::net::PeerNetwork;

/// How connections are handled, at every address.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// How long a client may take for the head of a request, and for a header of the PROXY protocol.
    pub header_timeout: Duration,
    /// How long a connection is kept that has no request.
    pub idle_timeout: Duration,
    /// How long a client may pause within the body of a request that has no answer yet, and take nothing of a response.
    pub body_timeout: Duration,
    /// Connections that one address has at once; `None` is any number.
    pub max_connections: Option<NonZeroUsize>,
    /// Of these, connections of one client.
    pub max_connections_per_client: Option<NonZeroUsize>,
    /// Peers that begin each connection with a header of the PROXY protocol.
    pub proxy_protocol: Vec<PeerNetwork>,
    /// Clients whose `Forwarded` and `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<PeerNetwork>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
            idle_timeout: Duration::from_secs(75),
            body_timeout: Duration::from_secs(60),
            max_connections: None,
            max_connections_per_client: None,
            proxy_protocol: Vec::new(),
            trusted_proxies: Vec::new(),
        }
    }
}

/// A line for each request.
#[derive(Debug, Clone)]
pub struct AccessLogSettings {
    pub target: AccessLogTarget,
    pub format: AccessLogFormat,
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccessLogTarget {
    Stdout,
    /// Appended to; opened again on request.
    File(PathBuf),
}

/// What a line looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum AccessLogFormat {
    /// The combined form of NCSA's log, as web servers write it
    Common,
    /// A JSON object
    Json,
}
