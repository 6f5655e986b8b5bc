//! The functions of `connection`, which 2.0.0 and 3.0.0 have alike.

/// The functions of `connection` beside `open`, for the interface `$version`. `$host` is how the host is reached there, of
/// the type `$Host`, and `$session` finds the session behind a handle.
macro_rules! commands {
    ($version:ident, $host:ident: $Host:ty, $session:path) => {
        async fn publish(
            $host: $Host,
            connection: Resource<Connection>,
            channel: String,
            payload: Vec<u8>,
        ) -> wasmtime::Result<Result<(), $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session
                .publish(&channel, &payload)
                .await
                .map_err(Into::into))
        }

        async fn get(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
        ) -> wasmtime::Result<Result<Option<Vec<u8>>, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.get(&key).await.map_err(Into::into))
        }

        async fn set(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
            value: Vec<u8>,
        ) -> wasmtime::Result<Result<(), $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.set(&key, &value).await.map_err(Into::into))
        }

        async fn incr(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
        ) -> wasmtime::Result<Result<i64, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.incr(&key).await.map_err(Into::into))
        }

        async fn del(
            $host: $Host,
            connection: Resource<Connection>,
            keys: Vec<String>,
        ) -> wasmtime::Result<Result<u32, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.del(&keys).await.map_err(Into::into))
        }

        async fn sadd(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
            values: Vec<String>,
        ) -> wasmtime::Result<Result<u32, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.sadd(&key, &values).await.map_err(Into::into))
        }

        async fn smembers(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
        ) -> wasmtime::Result<Result<Vec<String>, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.smembers(&key).await.map_err(Into::into))
        }

        async fn srem(
            $host: $Host,
            connection: Resource<Connection>,
            key: String,
            values: Vec<String>,
        ) -> wasmtime::Result<Result<u32, $version::Error>> {
            let session = $session($host, &connection)?;
            Ok(session.srem(&key, &values).await.map_err(Into::into))
        }

        async fn execute(
            $host: $Host,
            connection: Resource<Connection>,
            command: String,
            arguments: Vec<$version::RedisParameter>,
        ) -> wasmtime::Result<Result<Vec<$version::RedisResult>, $version::Error>> {
            let session = $session($host, &connection)?;
            let arguments = arguments.into_iter().map(Into::into).collect();
            Ok(match session.execute(&command, arguments).await {
                Ok(replies) => Ok(replies.into_iter().map(Into::into).collect()),
                Err(error) => Err(error.into()),
            })
        }
    };
}

pub(super) use commands;
