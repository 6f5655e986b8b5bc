//! One connection to a server, logged in.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{ChangeUserOpts, Conn, OptsBuilder, SslOpts};

use super::address::Target;
use super::error::Error;
use super::pool::Pool;
use crate::net::{Permit, Reusable};

/// For name resolution, the connection, TLS and the login together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);
/// For a used connection to become as good as new, results that nobody read included.
const RENEW_TIMEOUT: Duration = Duration::from_secs(5);

pub(super) struct Live {
    pub(super) connection: Conn,
    _permit: Permit,
}

impl Live {
    /// An idle connection that answers, or a new one.
    pub(super) async fn lease(pool: &Pool, target: &Target) -> Result<Self, Error> {
        while let Some(mut live) = pool.take(&target.address) {
            let answer = tokio::time::timeout(RENEW_TIMEOUT, live.connection.ping()).await;
            if matches!(answer, Ok(Ok(()))) {
                return Ok(live);
            }
        }
        Self::connect(pool, target).await
    }

    /// A new connection; waits for a place among those that the app may have.
    pub(super) async fn connect(pool: &Pool, target: &Target) -> Result<Self, Error> {
        let permit = pool.permit().await?;
        let connecting = async {
            // The library is given addresses, since it would not leave out the blocked ones.
            let addresses = pool.outbound().resolve(&target.host, target.port).await?;
            let addresses: Vec<_> = addresses.iter().map(|address| address.ip()).collect();
            let options = OptsBuilder::from_opts(target.options.clone())
                .resolved_ips(Some(addresses))
                .ssl_opts(target.tls.then(tls_options));
            Conn::new(options)
                .await
                .map_err(|error| Error::connecting(&error))
        };
        let connection = tokio::time::timeout(CONNECT_TIMEOUT, connecting)
            .await
            .unwrap_or_else(|_| {
                let seconds = CONNECT_TIMEOUT.as_secs();
                Err(Error::ConnectionFailed(format!(
                    "no connection within {seconds} seconds"
                )))
            })?;
        Ok(Self {
            connection,
            _permit: permit,
        })
    }

    /// Gives it back once it is as it was when new; a task of its own, since the guest need not wait.
    pub(super) fn give_back(mut self, pool: Arc<Pool>, target: Arc<Target>) {
        if self.ended() || tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        crate::tasks::spawn("used mysql connection", async move {
            // A mere reset would keep the database that was last used.
            let renewed = self.connection.change_user(ChangeUserOpts::default());
            match tokio::time::timeout(RENEW_TIMEOUT, renewed).await {
                Ok(Ok(())) => pool.give_back(&target.address, self),
                Ok(Err(error)) => tracing::debug!(%error, "a mysql connection can't be used again"),
                Err(_) => tracing::debug!("a mysql connection was not renewed in time"),
            }
        });
    }
}

impl Reusable for Live {
    fn ended(&self) -> bool {
        self.connection.is_disconnected()
    }
}

/// Trust in the system's roots, which are read once for the process, and in no others.
fn tls_options() -> SslOpts {
    static ROOTS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let roots = ROOTS.get_or_init(|| {
        // The library fails for all when it can't parse one.
        let usable = |root: &rustls::pki_types::CertificateDer<'static>| {
            rustls::RootCertStore::empty().add(root.clone()).is_ok()
        };
        let found = rustls_native_certs::load_native_certs().certs;
        found
            .into_iter()
            .filter(usable)
            .map(|root| root.to_vec())
            .collect()
    });
    SslOpts::default()
        .with_disable_built_in_roots(true)
        .with_root_certs(roots.iter().cloned().map(Into::into).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::mysql::MysqlBackends;
    use crate::net::{ConnectionLimits, Outbound, ReachError};

    #[tokio::test]
    async fn a_blocked_network_is_not_reached() {
        let blocked = vec!["127.0.0.0/8".parse().unwrap()];
        let outbound = Arc::new(Outbound::new(blocked, ConnectionLimits::default()));
        let pool = MysqlBackends::default().pool(&outbound);
        let target = Target::parse("mysql://127.0.0.1:1/x").ok().unwrap();
        let error = Live::connect(&pool, &target).await.err();
        let text = ReachError::Blocked.to_string();
        assert_eq!(error, Some(Error::ConnectionFailed(text)));
    }
}
