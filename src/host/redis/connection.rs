//! The handle that a guest has.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Redis;
use super::reply::Error;
use super::session::Session;

/// Handles that an instance may have open.
const MAX_HANDLES: usize = 1024;

/// `connection`.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub struct Connection {
    session: Arc<Session>,
    _place: OwnedSemaphorePermit,
}

/// What is kept for one instance: a place for each handle.
#[derive(Clone)]
pub(super) struct Handles(Arc<Semaphore>);

impl Default for Handles {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_HANDLES)))
    }
}

impl Connection {
    pub(super) async fn open(redis: &Redis, handles: &Handles, address: &str) -> Result<Self, Error> {
        let place = handles.0.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyConnections)?;
        Ok(Self {
            session: Arc::new(redis.open(address).await?),
            _place: place,
        })
    }

    pub(super) fn session(&self) -> Arc<Session> {
        self.session.clone()
    }
}
