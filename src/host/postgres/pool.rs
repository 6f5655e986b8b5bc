//! Connections that are kept for the next instance of a component: a pool for each address and authority.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep_until, timeout};

use super::address::Address;
use super::error::{Error, with_causes};
use super::link::{DialError, Dialer, Link};
use super::session::Session;
use super::tls::Authority;
use crate::net::{Kind, Outbound, Permit, ReachError};
use crate::tasks;

/// Pools of one component; the one that was used longest ago goes first.
const MAX_POOLS: usize = 16;
/// Connections of one pool.
const MAX_CONNECTIONS: usize = 64;
/// For a place in the pool and in the app's limit.
const WAIT_LIMIT: Duration = Duration::from_secs(30);
/// A connection that nobody wants is closed after this time.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// After this time in the pool a connection is tried before it is used: what is between here and the server may have
/// forgotten it.
const TRUSTED: Duration = Duration::from_secs(15);

const TOO_MANY: &str = "too many connections";
const NO_SLOT: &str = "Timeout occurred while waiting for a slot to become available";

/// The pools of one component, the last used at the end.
pub(super) struct Pools {
    outbound: Arc<Outbound>,
    pools: Mutex<Vec<(Key, Arc<Pool>)>>,
}

#[derive(PartialEq, Eq)]
struct Key {
    /// With the password.
    address: String,
    authority: Option<Arc<str>>,
}

pub(super) struct Pool {
    dialer: Arc<Dialer>,
    slots: Arc<Semaphore>,
    idle: Mutex<Idle>,
}

/// Connections that are ready to be used, the last used at the end. With those in use there are never more than slots: one
/// is made only by who has a slot and finds none here.
#[derive(Default)]
struct Idle {
    links: VecDeque<(Link, Instant)>,
    is_watched: bool,
}

/// Leave to use a connection of the pool.
pub(super) struct Lease {
    _slot: OwnedSemaphorePermit,
    _permit: Permit,
}

impl Pools {
    pub(super) fn new(outbound: Arc<Outbound>) -> Self {
        Self {
            outbound,
            pools: Mutex::default(),
        }
    }

    /// `address` is `text`, understood.
    pub(super) fn pool(&self, text: &str, address: Address, authority: Option<&Authority>) -> Arc<Pool> {
        let key = Key {
            address: text.to_owned(),
            authority: authority.map(|authority| authority.pem.clone()),
        };
        // Nothing in here panics or waits.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let known = pools
            .iter()
            .position(|(known, _)| *known == key)
            .map(|index| pools.remove(index));
        let (key, pool) = known.unwrap_or_else(|| {
            if pools.len() >= MAX_POOLS {
                pools.remove(0);
            }
            (
                key,
                Arc::new(Pool::new(Dialer::new(address, authority, self.outbound.clone()))),
            )
        });
        pools.push((key, pool.clone()));
        pool
    }
}

impl Pool {
    fn new(dialer: Dialer) -> Self {
        Self {
            dialer: Arc::new(dialer),
            slots: Arc::new(Semaphore::new(MAX_CONNECTIONS)),
            idle: Mutex::default(),
        }
    }

    /// A connection that nobody else uses: one that was used before if there is one.
    pub(super) async fn take(self: &Arc<Self>) -> Result<Session, Error> {
        let lease = timeout(WAIT_LIMIT, self.lease()).await;
        let lease = lease.map_err(|_| Error::ConnectionFailed(NO_SLOT.into()))??;
        let link = match self.used().await {
            Some(link) => link,
            None => self.dialer.dial().await.map_err(dial_error)?,
        };
        Ok(Session::new(
            link,
            lease,
            self.dialer.clone(),
            Arc::downgrade(self),
        ))
    }

    /// Takes back a connection that has been reset. The lease is given up afterwards, so that whoever gets it finds this.
    pub(super) fn put(self: &Arc<Self>, link: Link, lease: Lease) {
        let mut idle = self.idle();
        idle.links.push_back((link, Instant::now()));
        if !idle.is_watched {
            idle.is_watched = true;
            tasks::spawn("postgres idle connections", watch(Arc::downgrade(self)));
        }
        drop(idle);
        drop(lease);
    }

    async fn lease(&self) -> Result<Lease, Error> {
        let too_many = || Error::ConnectionFailed(TOO_MANY.into());
        let slot = self.slots.clone().acquire_owned().await.map_err(|_| too_many())?;
        let permit = self.dialer.outbound().permit(Kind::Postgres).await;
        let permit = permit.map_err(|error| match error {
            ReachError::NoConnectionsAllowed => too_many(),
            other => dial_error(other.into()),
        })?;
        Ok(Lease {
            _slot: slot,
            _permit: permit,
        })
    }

    async fn used(&self) -> Option<Link> {
        loop {
            let (link, since) = self.idle().links.pop_back()?;
            let is_trusted = since.elapsed() < TRUSTED && !link.is_closed();
            if is_trusted || link.is_alive().await {
                return Some(link);
            }
            link.abort();
        }
    }

    /// Closes what has been idle for too long; answers when the next will have been.
    fn close_idle(&self) -> Option<Instant> {
        let mut idle = self.idle();
        let now = Instant::now();
        while let Some((link, since)) = idle.links.front() {
            let end = *since + IDLE_LIMIT;
            if end > now && !link.is_closed() {
                return Some(end);
            }
            idle.links.pop_front();
        }
        idle.is_watched = false;
        None
    }

    fn idle(&self) -> MutexGuard<'_, Idle> {
        // Nothing that is done while it is held panics or waits.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs while the pool has idle connections.
async fn watch(pool: Weak<Pool>) {
    loop {
        let Some(next) = pool.upgrade().and_then(|pool| pool.close_idle()) else {
            return;
        };
        sleep_until(next).await;
    }
}

/// In the layout in which guests know it from Spin, where Spin has such an error.
fn dial_error(error: DialError) -> Error {
    Error::ConnectionFailed(match error {
        DialError::Reach(_) | DialError::Timeout => error.to_string(),
        error => with_causes(&CreateError(error)),
    })
}

#[derive(Debug, thiserror::Error)]
#[error("Error occurred while creating a new object: {0}")]
struct CreateError(#[source] DialError);
