//! `fermyon:spin/redis`: an address with every call, and errors without words.

use super::Redis;
use super::bindings::fermyon::spin::redis as v1;
use super::bindings::fermyon::spin::redis_types as types;
use super::session::Session;
use crate::runtime::HostState;

/// A connection for one call. From the pool, where that makes no difference to what is asked.
async fn open(state: &mut HostState, address: &str) -> wasmtime::Result<Result<Session, v1::Error>> {
    let redis = state.interface::<Redis>()?;
    Ok(redis.open(address).await.map_err(Into::into))
}

impl types::Host for HostState {}

impl v1::Host for HostState {
    async fn publish(
        &mut self,
        address: String,
        channel: String,
        payload: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        Ok(session.publish(&channel, &payload).await.map_err(Into::into))
    }

    async fn get(&mut self, address: String, key: String) -> wasmtime::Result<Result<Vec<u8>, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let value = session.get(&key).await;
        Ok(value.map(Option::unwrap_or_default).map_err(Into::into))
    }

    async fn set(
        &mut self,
        address: String,
        key: String,
        value: Vec<u8>,
    ) -> wasmtime::Result<Result<(), v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        Ok(session.set(&key, &value).await.map_err(Into::into))
    }

    async fn incr(&mut self, address: String, key: String) -> wasmtime::Result<Result<i64, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        Ok(session.incr(&key).await.map_err(Into::into))
    }

    async fn del(&mut self, address: String, keys: Vec<String>) -> wasmtime::Result<Result<i64, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        Ok(session.del(&keys).await.map(i64::from).map_err(Into::into))
    }

    async fn sadd(
        &mut self,
        address: String,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<i64, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let added = session.sadd(&key, &values).await;
        Ok(added.map(i64::from).map_err(Into::into))
    }

    async fn smembers(
        &mut self,
        address: String,
        key: String,
    ) -> wasmtime::Result<Result<Vec<String>, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        Ok(session.smembers(&key).await.map_err(Into::into))
    }

    async fn srem(
        &mut self,
        address: String,
        key: String,
        values: Vec<String>,
    ) -> wasmtime::Result<Result<i64, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let removed = session.srem(&key, &values).await;
        Ok(removed.map(i64::from).map_err(Into::into))
    }

    async fn execute(
        &mut self,
        address: String,
        command: String,
        arguments: Vec<v1::RedisParameter>,
    ) -> wasmtime::Result<Result<Vec<v1::RedisResult>, v1::Error>> {
        let session = match open(self, &address).await? {
            Ok(session) => session,
            Err(error) => return Ok(Err(error)),
        };
        let arguments = arguments.into_iter().map(Into::into).collect();
        Ok(match session.execute(&command, arguments).await {
            Ok(replies) => Ok(replies.into_iter().map(Into::into).collect()),
            Err(error) => Err(error.into()),
        })
    }
}
