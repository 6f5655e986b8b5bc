//! What a guest may reach and how: allowed hosts, dialling, TLS, pools; and where an app is reached.

mod allowed_hosts;
mod certificates;
mod client;
mod clients;
mod dial;
mod error;
mod idle;
mod listening;
mod network;
mod outbound;
mod pattern;
mod peer;
pub(crate) mod percent;
mod server_tls;
mod site;
mod tls;
mod unix;

pub use allowed_hosts::{AllowedHosts, Destination};
pub use certificates::{
    Certificate, CertificateError, CertificateFiles, ClientAuthority, PemFile, Watched, check_certificates,
};
pub use client::{ClientSettings, HttpClient, ResponseBody, Timeouts};
pub use clients::HttpClients;
pub use error::SendError;
#[cfg(test)]
pub(crate) use idle::MIN_ROOM;
pub(crate) use idle::make_room;
pub use idle::{IdlePool, IdlePools, Reusable};
pub use listening::ListeningSocket;
pub(crate) use listening::keep_alive;
pub use network::{Network, NetworkError};
pub use outbound::{ConnectionLimits, Kind, Outbound, Permit, ReachError};
pub use pattern::PatternError;
pub use peer::{PeerNetwork, PeerNetworkError};
pub(crate) use server_tls::server_config;
pub use server_tls::{AcmeChallenge, AcmeOrder, CertificateSource, KeyPairFiles, ServerTls};
pub use site::{HostPattern, Location, PathPrefix, Site, SiteError, wildcards_of};
pub use tls::{TlsError, TlsSettings, tls_client_config};
pub use unix::{SocketFile, remove_stale_socket};
