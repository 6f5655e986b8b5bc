//! The address at which others than the daemon's user may ask: where it is, and who may.

use std::path::PathBuf;

use tokio::net::{TcpListener, UnixListener};

use super::door::{DoorTls, Listening};
use super::token::{TokenError, Tokens};
use crate::control::{LaunchError, ResolvedAddress, resolve};
use crate::manifest::Address;
use crate::net::{
    CertificateError, CertificateFiles, KeyPairFiles, ListeningSocket, keep_alive, remove_stale_socket,
};

/// What the options say of the address.
#[derive(Debug, Clone)]
pub struct AddressSettings {
    pub address: Address,
    /// Tokens, one on each line.
    pub token_file: Option<PathBuf>,
    /// With TLS.
    pub tls: Option<KeyPairFiles>,
    /// Whose certificates clients need.
    pub client_ca: Option<PathBuf>,
    /// The numbers are for everybody.
    pub open_metrics: bool,
}

/// Why the address can't be opened.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    #[error(
        "at --admin-address {0} everybody could redeploy apps: say who may, with --admin-token-file or --admin-client-ca"
    )]
    Unguarded(Address),
    #[error("--admin-client-ca needs --admin-tls: clients show certificates in TLS only")]
    AuthorityWithoutTls,
    #[error("--admin-address can't be resolved")]
    Resolve(#[source] LaunchError),
    #[error("can't listen on --admin-address {address}: choose another one if it is taken")]
    Bind {
        address: Address,
        source: std::io::Error,
    },
    #[error(transparent)]
    Token(#[from] TokenError),
    #[error("--admin-address has no TLS")]
    Certificate(#[from] CertificateError),
    #[error("--admin-address has no TLS")]
    Tls(#[from] rustls::Error),
}

/// The address while it is open.
pub(super) struct OpenAddress {
    pub(super) listening: Listening,
    pub(super) tls: Option<DoorTls>,
    /// `None`: certificates say who may ask.
    pub(super) tokens: Option<Tokens>,
}

impl OpenAddress {
    /// Opens it, unless anybody could ask there, or uses the socket that the process before this one had there. `files` are looked at for as long as it is open.
    pub(super) async fn open(
        settings: &AddressSettings,
        inherited: Option<ListeningSocket>,
        files: &CertificateFiles,
    ) -> Result<Self, AddressError> {
        let AddressSettings {
            address,
            token_file,
            tls,
            client_ca,
            ..
        } = settings;
        if token_file.is_none() && client_ca.is_none() {
            return Err(AddressError::Unguarded(address.clone()));
        }
        let tokens = match token_file {
            Some(file) => Some(Tokens::open(file).await?),
            None => None,
        };
        let tls = match (tls, client_ca) {
            (Some(pair), authority) => Some(DoorTls::new(files, pair, authority.as_deref())?),
            (None, Some(_)) => return Err(AddressError::AuthorityWithoutTls),
            (None, None) => None,
        };
        let bound = match inherited {
            Some(socket) => adopt(socket, address),
            None => {
                let resolved = resolve(address).await.map_err(AddressError::Resolve)?;
                listen(resolved).await
            }
        };
        let listening = bound.map_err(|source| AddressError::Bind {
            address: address.clone(),
            source,
        })?;
        if tls.is_none() && !listening.is_of_this_machine() {
            tracing::warn!(
                address = %listening,
                "tokens for the admin API go through the network as they are: see --admin-tls"
            );
        }
        Ok(Self {
            listening,
            tls,
            tokens,
        })
    }
}

fn adopt(socket: ListeningSocket, address: &Address) -> std::io::Result<Listening> {
    match (socket, address) {
        (ListeningSocket::Tcp(socket), _) => {
            socket.set_nonblocking(true)?;
            TcpListener::from_std(socket).map(Listening::Tcp)
        }
        (ListeningSocket::Unix(socket), Address::Unix(path)) => {
            socket.set_nonblocking(true)?;
            Ok(Listening::unix(UnixListener::from_std(socket)?, path))
        }
        (ListeningSocket::Unix(_), _) => Err(std::io::Error::from(std::io::ErrorKind::Unsupported)),
    }
}

async fn listen(address: ResolvedAddress) -> std::io::Result<Listening> {
    match address {
        ResolvedAddress::Tcp(address) => {
            let socket = TcpListener::bind(address).await?;
            keep_alive(&socket)?;
            Ok(Listening::Tcp(socket))
        }
        ResolvedAddress::Unix(path) => {
            remove_stale_socket(&path).await?;
            let socket = UnixListener::bind(&path)?;
            Ok(Listening::unix(socket, &path))
        }
        ResolvedAddress::Absent => Err(std::io::Error::other("there is no address")),
    }
}
