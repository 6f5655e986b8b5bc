//! `fermyon:spin/redis@2.0.0`.

use std::sync::Arc;

use wasmtime::component::Resource;

use super::Redis;
use super::bindings::fermyon::spin2_0_0::redis as v2;
use super::connection::{Connection, Handles};
use super::reply::{Error, Parameter, Reply};
use super::session::Session;
use crate::runtime::HostState;

fn session(state: &mut HostState, connection: &Resource<Connection>) -> wasmtime::Result<Arc<Session>> {
    Ok(state.table().get(connection)?.session())
}

impl v2::Host for HostState {}

impl v2::HostConnection for HostState {
    async fn open(&mut self, address: String) -> wasmtime::Result<Result<Resource<Connection>, v2::Error>> {
        let redis = self.interface::<Redis>()?;
        let handles = self.local::<Handles>().clone();
        Ok(match Connection::open(&redis, &handles, &address).await {
            Ok(connection) => Ok(self.table().push(connection)?),
            Err(error) => Err(error.into()),
        })
    }

    async fn publish(
        &mut self,
        connection: Resource<Connection>,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.publish(&channel, &payload).await.map_err(Into::into))
    }

    async fn get(
        &mut self,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<Option<Vec<u8>>, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.get(&key).await.map_err(Into::into))
    }

    async fn set(
        &mut self,
        connection: Resource<Connection>,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.set(&key, &value).await.map_err(Into::into))
    }

    async fn incr(
        &mut self,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<i64, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.incr(&key).await.map_err(Into::into))
    }

    async fn del(
        &mut self,
        connection: Resource<Connection>,
        keys: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.del(&keys).await.map_err(Into::into))
    }

    async fn sadd(
        &mut self,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.sadd(&key, &values).await.map_err(Into::into))
    }

    async fn smembers(
        &mut self,
        connection: Resource<Connection>,
        key: String,
    ) -> wasmtime::Result<Result<Vec<String>, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.smembers(&key).await.map_err(Into::into))
    }

    async fn srem(
        &mut self,
        connection: Resource<Connection>,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<u32, v2::Error>> {
        let session = session(self, &connection)?;
        Ok(session.srem(&key, &values).await.map_err(Into::into))
    }

    async fn execute(
        &mut self,
        connection: Resource<Connection>,
        command: String,
        arguments: Vec<v2::RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<v2::RedisResult>, v2::Error>> {
        let session = session(self, &connection)?;
        let arguments = arguments.into_iter().map(Into::into).collect();
        Ok(match session.execute(&command, arguments).await {
            Ok(replies) => Ok(replies.into_iter().map(Into::into).collect()),
            Err(error) => Err(error.into()),
        })
    }

    async fn drop(&mut self, connection: Resource<Connection>) -> wasmtime::Result<()> {
        self.table().delete(connection)?;
        Ok(())
    }
}

impl From<Error> for v2::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::InvalidAddress => Self::InvalidAddress,
            Error::TooManyConnections => Self::TooManyConnections,
            Error::WrongType => Self::TypeError,
            Error::Other(text) => Self::Other(text),
        }
    }
}

impl From<v2::RedisParameter> for Parameter {
    fn from(parameter: v2::RedisParameter) -> Self {
        match parameter {
            v2::RedisParameter::Int64(number) => Self::Int64(number),
            v2::RedisParameter::Binary(bytes) => Self::Binary(bytes),
        }
    }
}

impl From<Reply> for v2::RedisResult {
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Nil => Self::Nil,
            Reply::Status(text) => Self::Status(text),
            Reply::Int64(number) => Self::Int64(number),
            Reply::Binary(bytes) => Self::Binary(bytes),
        }
    }
}
