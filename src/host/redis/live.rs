//! One connection to a server, logged in.

use std::sync::Arc;
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Cmd, FromRedisValue, RedisResult};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;

use super::address::Target;
use super::pool::Pool;
use super::reply::Error;
use super::watched::{Watch, Watched};
use crate::net::{self, Outbound, Permit, Reusable};

/// For name resolution, the connection, TLS and the login together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection and the task that drives it, which ends with it.
pub(super) struct Live {
    connection: MultiplexedConnection,
    watch: Arc<Watch>,
    driver: AbortHandle,
    _permit: Permit,
}

impl Live {
    /// An idle connection, or a new one.
    pub(super) async fn lease(pool: &Pool, target: &Target) -> Result<Self, Error> {
        match pool.take(&target.address) {
            Some(live) => Ok(live),
            None => Self::connect(pool, target).await,
        }
    }

    /// A new connection; waits for a place among those that the app may have.
    pub(super) async fn connect(pool: &Pool, target: &Target) -> Result<Self, Error> {
        let permit = pool.permit().await?;
        let connecting = Self::connect_slowly(pool.outbound(), target, permit);
        tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| {
                Err(Error::Other(format!(
                    "no connection within {} seconds",
                    CONNECT_TIMEOUT.as_secs()
                )))
            })
    }

    async fn connect_slowly(outbound: &Outbound, target: &Target, permit: Permit) -> Result<Self, Error> {
        let stream = outbound.connect(&target.host, target.port).await?;
        if !target.tls {
            return Self::log_in(stream, target, permit).await;
        }
        let name = ServerName::try_from(target.host.clone()).map_err(|_| Error::InvalidAddress)?;
        let stream = TlsConnector::from(net::tls_client_config())
            .connect(name, stream)
            .await
            .map_err(|error| Error::Other(error.to_string()))?;
        Self::log_in(stream, target, permit).await
    }

    async fn log_in<S>(stream: S, target: &Target, permit: Permit) -> Result<Self, Error>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let watch = Arc::new(Watch::default());
        let stream = Watched::new(stream, watch.clone());
        // Some commands block for as long as they are told to.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&target.login, stream, config).await?;
        let driver = crate::tasks::spawn("redis connection", driver).abort_handle();
        Ok(Self {
            connection,
            watch,
            driver,
            _permit: permit,
        })
    }

    /// Sends a command and waits for its reply.
    pub(super) async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<RedisResult<T>, Error> {
        let mut connection = self.connection.clone();
        let result = command.query_async(&mut connection).await;
        if self.watch.too_large() {
            return Err(Error::too_large());
        }
        self.watch.reply_complete();
        Ok(result)
    }
}

impl Reusable for Live {
    /// By the server, or by the limit of a reply.
    fn ended(&self) -> bool {
        self.watch.closed()
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        // By itself it would first wait for replies that nobody waits for any more.
        self.driver.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::redis::RedisBackends;
    use crate::net::{ConnectionLimits, ReachError};

    #[tokio::test]
    async fn a_blocked_network_is_not_reached() {
        let blocked = vec!["127.0.0.0/8".parse().unwrap()];
        let outbound = Arc::new(Outbound::new(blocked, ConnectionLimits::default()));
        let pool = RedisBackends::default().pool(&outbound);
        let target = Target::parse("redis://127.0.0.1:1").ok().unwrap();
        let error = Live::connect(&pool, &target).await.err();
        assert_eq!(error, Some(Error::Other(ReachError::Blocked.to_string())));
    }
}
