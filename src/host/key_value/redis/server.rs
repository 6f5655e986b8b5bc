//! One connection to a Redis server, for all the apps of the process that name its URL.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, RedisError};
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::host::key_value::store::StoreError;
use crate::variables::Secret;

/// How long a connection may take, name resolution, TLS and login included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take.
const RESPONSE_TIMEOUT: Duration = Duration::from_secs(10);

/// A server, connected at the first call, and again at the first one after the connection broke.
pub(super) struct Server {
    client: Client,
    link: Mutex<Link>,
}

#[derive(Default)]
struct Link {
    connection: Option<MultiplexedConnection>,
    /// Counts the connections, so that a call only takes away the one that failed it.
    generation: u64,
    failure: Option<(Instant, StoreError)>,
}

/// Whether a command may be sent a second time, when the connection broke before its answer came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// Its effect is the same once and twice.
    Safe,
    Never,
}

impl Server {
    /// The URL is the operator's: what guests may reach, and over how many connections, is not asked.
    pub(super) fn new(url: &Secret) -> Result<Self, RedisError> {
        let client = Client::open(url.expose())?;
        let link = Mutex::default();
        Ok(Self { client, link })
    }

    /// Sends a command and reads its answer.
    pub(super) async fn ask<T: FromRedisValue>(
        &self,
        command: &redis::Cmd,
        repeat: Repeat,
    ) -> Result<T, StoreError> {
        let (mut connection, generation) = self.connection().await?;
        let mut result = command.query_async(&mut connection).await;
        if let Err(error) = &result
            && is_broken(error)
        {
            self.forget(generation).await;
            // A restarted server shows itself only now: a connection that was idle looked well.
            if repeat == Repeat::Safe && !error.is_timeout() {
                let (mut connection, generation) = self.connection().await?;
                result = command.query_async(&mut connection).await;
                if result.as_ref().is_err_and(is_broken) {
                    self.forget(generation).await;
                }
            }
        }
        result.map_err(|error| StoreError(error.to_string()))
    }

    async fn connection(&self) -> Result<(MultiplexedConnection, u64), StoreError> {
        let asked = Instant::now();
        let mut link = self.link.lock().await;
        if let Some(connection) = &link.connection {
            return Ok((connection.clone(), link.generation));
        }
        // Who waited while another call failed to connect shares its error: otherwise they'd all try one by one.
        if let Some((when, error)) = &link.failure
            && *when >= asked
        {
            return Err(error.clone());
        }
        match self.connect().await {
            Ok(connection) => {
                link.generation += 1;
                link.connection = Some(connection.clone());
                Ok((connection, link.generation))
            }
            Err(error) => {
                let error = StoreError(format!("no connection to the Redis server: {error}"));
                link.failure = Some((Instant::now(), error.clone()));
                Err(error)
            }
        }
    }

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(CONNECT_TIMEOUT))
            .set_response_timeout(Some(RESPONSE_TIMEOUT));
        self.client
            .get_multiplexed_async_connection_with_config(&config)
            .await
    }

    async fn forget(&self, generation: u64) {
        let mut link = self.link.lock().await;
        if link.generation == generation {
            link.connection = None;
        }
    }
}

/// An answer that did not come in time is taken for a connection that is half open.
fn is_broken(error: &RedisError) -> bool {
    error.is_io_error() || error.is_unrecoverable_error()
}
