//! A connection to a server: made over a stream of our own, so that blocked networks are, and driven by a task.

use std::future::poll_fn;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;
use tokio_postgres::config::{LoadBalanceHosts, SslMode, TargetSessionAttrs};
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, NoTls, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::{Address, Endpoint};
use super::tls::{Authority, client_config};
use crate::net::{Outbound, ReachError};
use crate::tasks;

/// For a server that accepts and says nothing, unless the address has a limit of its own.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// For telling a server that an answer is no longer wanted.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// What is left of a session before another one has it. `DISCARD ALL` can't be used: the client library has prepared
/// statements of its own. The last statement finds what a guest has prepared.
const RESET: &str = "ROLLBACK; CLOSE ALL; SET SESSION AUTHORIZATION DEFAULT; RESET ALL; UNLISTEN *; \
    SELECT pg_advisory_unlock_all(); DISCARD TEMP; DISCARD SEQUENCES; \
    SELECT name AS prepared FROM pg_prepared_statements WHERE from_sql LIMIT 1";
const RESET_LIMIT: Duration = Duration::from_secs(5);
/// The column of `RESET` that only a guest's prepared statement fills.
const PREPARED: &str = "prepared";

/// How to reach the server of one address.
pub(super) struct Dialer {
    address: Address,
    outbound: Arc<Outbound>,
    /// `None` for an address that wants no TLS.
    tls: Option<MakeRustlsConnect>,
}

/// Why there is no connection. The texts are the client library's where it has one.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("invalid configuration")]
    Address(#[source] io::Error),
    #[error("error connecting to server")]
    Connect(#[source] io::Error),
    #[error(transparent)]
    Reach(ReachError),
    #[error(transparent)]
    Server(#[from] tokio_postgres::Error),
    #[error("the server does not answer in time")]
    Timeout,
}

impl From<ReachError> for DialError {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::Resolve(error) | ReachError::Connect(error) => Self::Connect(error),
            other => Self::Reach(other),
        }
    }
}

/// A connection that is logged in. Dropping it says goodbye to the server.
pub(super) struct Link {
    client: Client,
    endpoint: Endpoint,
    driver: AbortHandle,
}

impl Dialer {
    pub(super) fn new(address: Address, authority: Option<&Authority>, outbound: Arc<Outbound>) -> Self {
        let tls = match address.config().get_ssl_mode() {
            SslMode::Disable => None,
            _ => Some(MakeRustlsConnect::new(client_config(authority))),
        };
        Self {
            address,
            outbound,
            tls,
        }
    }

    pub(super) fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// The first server of the address that can be used; the error is the last one's.
    pub(super) async fn dial(&self) -> Result<Link, DialError> {
        let config = self.address.config();
        let endpoints = self.address.endpoints();
        let mut endpoints = endpoints.map_err(|text| DialError::Address(io::Error::other(text)))?;
        if config.get_load_balance_hosts() == LoadBalanceHosts::Random {
            // Each hasher has keys of its own, at random.
            endpoints.sort_by_cached_key(|_| RandomState::new().build_hasher().finish());
        }
        let limit = config.get_connect_timeout().copied().unwrap_or(CONNECT_LIMIT);
        let mut result = Err(DialError::Timeout);
        for endpoint in endpoints {
            result = timeout(limit, self.dial_one(endpoint))
                .await
                .unwrap_or(Err(DialError::Timeout));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    async fn dial_one(&self, endpoint: Endpoint) -> Result<Link, DialError> {
        let config = self.address.config();
        let stream = self.connect(&endpoint).await?;
        let (client, driver) = match &self.tls {
            None => log_in(config, stream, NoTls, &endpoint).await?,
            Some(tls) => log_in(config, stream, tls.clone(), &endpoint).await?,
        };
        let link = Link {
            client,
            endpoint,
            driver,
        };
        link.check_attributes(config.get_target_session_attrs()).await?;
        Ok(link)
    }

    async fn connect(&self, endpoint: &Endpoint) -> Result<TcpStream, ReachError> {
        let stream = self.outbound.connect(&endpoint.host, endpoint.port).await?;
        let config = self.address.config();
        if config.get_keepalives() {
            let mut keepalive = TcpKeepalive::new().with_time(config.get_keepalives_idle());
            if let Some(interval) = config.get_keepalives_interval() {
                keepalive = keepalive.with_interval(interval);
            }
            if let Some(retries) = config.get_keepalives_retries() {
                keepalive = keepalive.with_retries(retries);
            }
            // A connection without it still works; it only takes longer to be found dead.
            let _ = SockRef::from(&stream).set_tcp_keepalive(&keepalive);
        }
        Ok(stream)
    }

    /// Tells the server to stop what it does for `link`. It may have finished, or not listen: nothing depends on it.
    pub(super) async fn cancel(&self, link: &Link) {
        let token = link.client.cancel_token();
        let cancel = async {
            let stream = self.connect(&link.endpoint).await?;
            match &self.tls {
                None => token.cancel_query_raw(stream, NoTls).await?,
                Some(tls) => {
                    // Making it is infallible.
                    let Ok(tls) =
                        MakeTlsConnect::<TcpStream>::make_tls_connect(&mut tls.clone(), &link.endpoint.name);
                    token.cancel_query_raw(stream, tls).await?;
                }
            }
            Ok::<_, DialError>(())
        };
        let _ = timeout(CANCEL_LIMIT, cancel).await;
    }
}

impl Link {
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Whether the server still answers.
    pub(super) async fn is_alive(&self) -> bool {
        let check = timeout(RESET_LIMIT, self.client.check_connection()).await;
        matches!(check, Ok(Ok(())))
    }

    /// Rolls back, and forgets whatever a guest may have set. Whether the session is as good as a new one.
    pub(super) async fn reset(&self) -> bool {
        let Ok(Ok(messages)) = timeout(RESET_LIMIT, self.client.simple_query(RESET)).await else {
            return false;
        };
        !messages.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.columns().iter().any(|column| column.name() == PREPARED),
            _ => false,
        })
    }

    /// Ends the connection at once, whatever is going on.
    pub(super) fn abort(self) {
        self.driver.abort();
    }

    async fn check_attributes(&self, wanted: TargetSessionAttrs) -> Result<(), DialError> {
        let (bad, message) = match wanted {
            TargetSessionAttrs::ReadWrite => ("on", "database does not allow writes"),
            TargetSessionAttrs::ReadOnly => ("off", "database is not read only"),
            _ => return Ok(()),
        };
        let messages = self.client.simple_query("SHOW transaction_read_only").await?;
        let is_bad = messages.iter().any(|message| match message {
            SimpleQueryMessage::Row(row) => row.try_get(0).is_ok_and(|value| value == Some(bad)),
            _ => false,
        });
        if is_bad {
            return Err(DialError::Connect(io::Error::new(
                io::ErrorKind::PermissionDenied,
                message,
            )));
        }
        Ok(())
    }
}

async fn log_in<T>(
    config: &Config,
    stream: TcpStream,
    mut tls: T,
    endpoint: &Endpoint,
) -> Result<(Client, AbortHandle), DialError>
where
    T: MakeTlsConnect<TcpStream>,
    T::Stream: Send + 'static,
{
    let Ok(tls) = tls.make_tls_connect(&endpoint.name) else {
        let error = io::Error::new(io::ErrorKind::InvalidInput, "no TLS is possible for the host");
        return Err(DialError::Connect(error));
    };
    let (client, connection) = config.connect_raw(stream, tls).await?;
    Ok((client, drive(connection)))
}

/// The task that moves a connection's bytes. It ends with the client or the server, and is aborted when the server is not
/// to be waited for. Its errors reach the client's calls; notices and notifications reach nobody.
fn drive<S, T>(mut connection: Connection<S, T>) -> AbortHandle
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let driver =
        async move { while let Some(Ok(_)) = poll_fn(|context| connection.poll_message(context)).await {} };
    tasks::spawn("postgres connection", driver).abort_handle()
}
