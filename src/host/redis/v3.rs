//! `spin:redis/redis@3.0.0`: as 2.0.0, and a guest may do other things while it waits.

use std::sync::Arc;

use wasmtime::component::{Accessor, HasSelf, Resource};

use super::Redis;
use super::bindings::spin::redis::redis as v3;
use super::connection::{Connection, Handles};
use super::reply::{Error, Parameter, Reply};
use super::session::Session;
use crate::runtime::HostState;

type Host = HasSelf<HostState>;

fn session<T: Send>(
    accessor: &Accessor<T, Host>,
    connection: &Resource<Connection>,
) -> wasmtime::Result<Arc<Session>> {
    accessor.with(|mut access| Ok(access.get().table().get(connection)?.session()))
}

impl v3::Host for HostState {}

impl v3::HostConnection for HostState {
    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table().delete(connection)?;
        Ok(())
    }
}

impl<T: Send> v3::HostConnectionWithStore<T> for Host {
    async fn open(
        accessor: &Accessor<T, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, v3::Error>> {
        let (redis, handles) = accessor.with(|mut access| -> wasmtime::Result<_> {
            let state = access.get();
            Ok((state.interface::<Redis>()?, state.local::<Handles>().clone()))
        })?;
        match Connection::open(&redis, &handles, &address).await {
            Ok(connection) => accessor.with(|mut access| Ok(Ok(access.get().table().push(connection)?))),
            Err(error) => Ok(Err(error.into())),
        }
    }

    async fn publish(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.publish(&channel, &payload).await.map_err(Into::into))
    }

    async fn get(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.get(&key).await.map_err(Into::into))
    }

    async fn set(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.set(&key, &value).await.map_err(Into::into))
    }

    async fn incr(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<i64, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.incr(&key).await.map_err(Into::into))
    }

    async fn del(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.del(&keys).await.map_err(Into::into))
    }

    async fn sadd(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.sadd(&key, &values).await.map_err(Into::into))
    }

    async fn smembers(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<Vec<String>, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.smembers(&key).await.map_err(Into::into))
    }

    async fn srem(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v3::Error>> {
        let session = session(accessor, &connection)?;
        Ok(session.srem(&key, &values).await.map_err(Into::into))
    }

    async fn execute(
        accessor: &Accessor<T, Self>,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<v3::RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<v3::RedisResult>, v3::Error>> {
        let session = session(accessor, &connection)?;
        let arguments = arguments.into_iter().map(Into::into).collect();
        Ok(match session.execute(&command, arguments).await {
            Ok(replies) => Ok(replies.into_iter().map(Into::into).collect()),
            Err(error) => Err(error.into()),
        })
    }
}

impl From<Error> for v3::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidAddress => Self::InvalidAddress,
            Error::TooManyConnections => Self::TooManyConnections,
            Error::WrongType => Self::TypeError,
            Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<v3::RedisParameter> for Parameter {
    fn from(parameter: v3::RedisParameter) -> Self {
        match parameter {
            v3::RedisParameter::Int64(number) => Self::Int64(number),
            v3::RedisParameter::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<Reply> for v3::RedisResult {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Nil => Self::Nil,
            Reply::Status(text) => Self::Status(text),
            Reply::Int64(number) => Self::Int64(number),
            Reply::Binary(bytes) => Self::Binary(bytes),
        }
    }
}
