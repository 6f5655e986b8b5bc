//! The commands of the interface, over a connection that nobody else uses.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::{Cmd, FromRedisValue, RedisResult, Value, cmd};
use tokio::sync::Mutex;

use super::address::Target;
use super::live::Live;
use super::pool::Pool;
use super::reply::{Error, Parameter, Reply, flatten, sadd_error};
use super::state::leaves_state;
use crate::host::limits::MAX_BUFFERED;
use crate::net::Reusable;

/// A connection in use; a new one takes its place when the server has closed it.
pub(in crate::host) struct Session {
    pool: Arc<Pool>,
    target: Arc<Target>,
    /// Empty only after a new connection could not be made.
    live: Mutex<Option<Arc<Live>>>,
    /// Something was left in it, that a new connection would not have.
    stateful: AtomicBool,
    /// Somebody went away before the reply came.
    abandoned: AtomicBool,
}

impl Session {
    pub(super) fn new(pool: Arc<Pool>, target: Arc<Target>, live: Live) -> Self {
        Self {
            pool,
            target,
            live: Mutex::new(Some(Arc::new(live))),
            stateful: AtomicBool::new(false),
            abandoned: AtomicBool::new(false),
        }
    }

    pub(super) async fn publish(&self, channel: &str, payload: &[u8]) -> Result<(), Error> {
        self.value(cmd("PUBLISH").arg(channel).arg(payload)).await
    }

    pub(super) async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, Error> {
        let value: Option<Vec<u8>> = self.value(cmd("GET").arg(key)).await?;
        let length = value.as_ref().map_or(0, Vec::len);
        if size_of::<Option<Vec<u8>>>() + length > MAX_BUFFERED {
            return Err(Error::too_large());
        }
        Ok(value)
    }

    pub(super) async fn set(&self, key: &str, value: &[u8]) -> Result<(), Error> {
        self.value(cmd("SET").arg(key).arg(value)).await
    }

    pub(super) async fn incr(&self, key: &str) -> Result<i64, Error> {
        self.value(cmd("INCRBY").arg(key).arg(1)).await
    }

    pub(super) async fn del(&self, keys: &[String]) -> Result<u32, Error> {
        self.value(cmd("DEL").arg(keys)).await
    }

    pub(super) async fn sadd(&self, key: &str, values: &[String]) -> Result<u32, Error> {
        sadd_error(self.query(cmd("SADD").arg(key).arg(values)).await?)
    }

    pub(super) async fn smembers(&self, key: &str) -> Result<Vec<String>, Error> {
        self.value(cmd("SMEMBERS").arg(key)).await
    }

    pub(super) async fn srem(&self, key: &str, values: &[String]) -> Result<u32, Error> {
        self.value(cmd("SREM").arg(key).arg(values)).await
    }

    pub(super) async fn execute(
        &self,
        command: &str,
        arguments: Vec<Parameter>,
    ) -> Result<Vec<Reply>, Error> {
        if leaves_state(command) {
            self.stateful.store(true, Ordering::Relaxed);
        }
        let mut packed = cmd(command);
        for argument in arguments {
            match argument {
                Parameter::Int64(number) => packed.arg(number),
                Parameter::Binary(bytes) => packed.arg(bytes),
            };
        }
        flatten(self.value::<Value>(&packed).await?)
    }

    async fn value<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, Error> {
        Ok(self.query(command).await??)
    }

    async fn query<T: FromRedisValue>(&self, command: &Cmd) -> Result<RedisResult<T>, Error> {
        let live = self.live().await?;
        let waiting = Abandons(&self.abandoned);
        let result = live.query(command).await;
        // Somebody has waited long enough.
        std::mem::forget(waiting);
        result
    }

    /// A state that is lost is the guest's to find out about: its next command must not run without it.
    async fn live(&self) -> Result<Arc<Live>, Error> {
        let mut live = self.live.lock().await;
        match &*live {
            Some(live) if !live.ended() || self.stateful.load(Ordering::Relaxed) => Ok(live.clone()),
            _ => {
                // Its place among the app's connections first.
                *live = None;
                let new = Arc::new(Live::connect(&self.pool, &self.target).await?);
                *live = Some(new.clone());
                Ok(new)
            }
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let fit = !*self.stateful.get_mut() && !*self.abandoned.get_mut();
        let live = self.live.get_mut().take().and_then(Arc::into_inner);
        if let Some(live) = live.filter(|_| fit) {
            self.pool.give_back(&self.target.address, live);
        }
    }
}

/// A reply that is still to come belongs to nobody else.
struct Abandons<'a>(&'a AtomicBool);

impl Drop for Abandons<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
