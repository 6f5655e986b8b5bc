//! Connections that an app has open and that nobody uses at the moment.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;

use super::outbound::{Kind, Outbound, Permit, ReachError};

/// How long a connection is kept that nobody uses.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// How often it is looked which those are.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
/// Entries that are added before it is looked again which are in use.
pub(crate) const MIN_ROOM: usize = 64;
/// Connections that are kept for one address.
const MAX_IDLE_PER_ADDRESS: usize = 32;

/// A connection that may be kept for its next user. It holds its [`Permit`].
pub trait Reusable: Send + 'static {
    /// Whether it is known that the other side has ended it.
    fn ended(&self) -> bool;
}

/// The pools of every app version that runs, for one protocol.
pub struct IdlePools<C> {
    /// By where in memory the limits are, which those pools hold.
    pools: Mutex<HashMap<usize, Weak<IdlePool<C>>>>,
}

// Derived, it would ask the same of the connections.
impl<C> Default for IdlePools<C> {
    fn default() -> Self {
        Self {
            pools: Mutex::default(),
        }
    }
}

impl<C: Reusable> IdlePools<C> {
    /// The one pool beside an app version's limits: what is idle in it counts against them.
    pub fn beside(&self, outbound: &Arc<Outbound>, kind: Kind) -> Arc<IdlePool<C>> {
        // No panic can happen while it is held.
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        let key = Arc::as_ptr(outbound).addr();
        if let Some(pool) = pools.get(&key).and_then(Weak::upgrade) {
            return pool;
        }
        make_room(&mut pools);
        let pool = Arc::new(IdlePool::new(outbound.clone(), kind));
        pools.insert(key, Arc::downgrade(&pool));
        pool
    }
}

/// The idle connections of one version of an app, by the address as the guest gave it, credentials included.
pub struct IdlePool<C> {
    outbound: Arc<Outbound>,
    kind: Kind,
    idle: Mutex<Idle<C>>,
    /// How many wait for a place among the app's connections.
    waiting: AtomicUsize,
}

struct Idle<C> {
    by_address: HashMap<String, Vec<(Instant, C)>>,
    /// Whether a task looks after what is in here.
    swept: bool,
}

impl<C: Reusable> IdlePool<C> {
    fn new(outbound: Arc<Outbound>, kind: Kind) -> Self {
        Self {
            outbound,
            kind,
            idle: Mutex::new(Idle {
                by_address: HashMap::new(),
                swept: false,
            }),
            waiting: AtomicUsize::new(0),
        }
    }

    /// The network that the connections are made over.
    pub fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// The most recently used one, so that those too many become old.
    pub fn take(&self, address: &str) -> Option<C> {
        let mut idle = self.idle();
        let connections = idle.by_address.get_mut(address)?;
        while let Some((since, connection)) = connections.pop() {
            if !connection.ended() && since.elapsed() < IDLE_TIMEOUT {
                return Some(connection);
            }
        }
        None
    }

    /// Leave for a new connection; waits for a place among those that the app may have.
    pub async fn permit(&self) -> Result<Permit, ReachError> {
        if let Some(permit) = self.outbound.try_permit(self.kind) {
            return Ok(permit);
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let _waiting = Waiting(&self.waiting);
        self.close_idle();
        self.outbound.permit(self.kind).await
    }

    /// Keeps a connection that is as good as new.
    pub fn give_back(self: &Arc<Self>, address: &str, connection: C) {
        // Somebody may need its place more than its being open; and without a runtime nobody would close it later.
        if connection.ended()
            || self.waiting.load(Ordering::Relaxed) > 0
            || tokio::runtime::Handle::try_current().is_err()
        {
            return;
        }
        let mut idle = self.idle();
        let connections = idle.by_address.entry(address.into()).or_default();
        if connections.len() < MAX_IDLE_PER_ADDRESS {
            connections.push((Instant::now(), connection));
        }
        if !std::mem::replace(&mut idle.swept, true) {
            drop(idle);
            crate::tasks::spawn("idle connections", sweep(Arc::downgrade(self)));
        }
    }

    fn close_idle(&self) {
        let closed = std::mem::take(&mut self.idle().by_address);
        drop(closed);
    }

    /// Closes what is too old; whether anything is left.
    fn sweep(&self) -> bool {
        let mut idle = self.idle();
        for connections in idle.by_address.values_mut() {
            connections.retain(|(since, connection)| !connection.ended() && since.elapsed() < IDLE_TIMEOUT);
        }
        idle.by_address.retain(|_, connections| !connections.is_empty());
        idle.swept = !idle.by_address.is_empty();
        idle.swept
    }

    fn idle(&self) -> MutexGuard<'_, Idle<C>> {
        // No panic can happen while it is held.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Somebody who waits, also if the waiting is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Ends when nothing is idle, or with the app.
async fn sweep<C: Reusable>(pool: Weak<IdlePool<C>>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        match pool.upgrade() {
            Some(pool) if pool.sweep() => {}
            _ => return,
        }
    }
}

/// Forgets what nobody uses any more, if there is no room for one more. Not at each: there may be thousands, and most of them in use.
pub(crate) fn make_room<K: Eq + Hash, V>(entries: &mut HashMap<K, Weak<V>>) {
    if entries.len() == entries.capacity() {
        entries.retain(|_, entry| entry.strong_count() > 0);
        let used = entries.len();
        entries.shrink_to(used);
        entries.reserve(used + MIN_ROOM);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ConnectionLimits;

    struct Fake {
        name: &'static str,
        ended: bool,
        _permit: Option<Permit>,
    }

    impl Reusable for Fake {
        fn ended(&self) -> bool {
            self.ended
        }
    }

    fn fake(name: &'static str) -> Fake {
        Fake {
            name,
            ended: false,
            _permit: None,
        }
    }

    fn pool(redis: Option<usize>) -> Arc<IdlePool<Fake>> {
        let limits = ConnectionLimits {
            redis,
            ..ConnectionLimits::default()
        };
        let outbound = Arc::new(Outbound::new(vec![], limits));
        IdlePools::default().beside(&outbound, Kind::Redis)
    }

    #[tokio::test]
    async fn the_last_one_given_back_is_taken_first() {
        let pool = pool(None);
        pool.give_back("a", fake("first"));
        pool.give_back("a", fake("second"));
        pool.give_back("b", fake("other"));
        assert_eq!(pool.take("a").unwrap().name, "second");
        assert_eq!(pool.take("a").unwrap().name, "first");
        assert!(pool.take("a").is_none());
    }

    #[tokio::test]
    async fn what_has_ended_is_not_kept() {
        let pool = pool(None);
        let ended = Fake {
            ended: true,
            ..fake("x")
        };
        pool.give_back("a", ended);
        assert!(pool.take("a").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn what_nobody_uses_is_closed() {
        let pool = pool(None);
        pool.give_back("a", fake("x"));
        tokio::time::sleep(IDLE_TIMEOUT + SWEEP_INTERVAL).await;
        assert!(pool.idle().by_address.is_empty());
        assert!(!pool.idle().swept);
    }

    #[tokio::test]
    async fn an_idle_connection_gives_way_to_one_that_is_needed() {
        let pool = pool(Some(1));
        let permit = pool.permit().await.unwrap();
        let connection = Fake {
            _permit: Some(permit),
            ..fake("x")
        };
        pool.give_back("a", connection);
        let permit = pool.permit().await.unwrap();
        assert!(pool.take("a").is_none());
        drop(permit);
    }

    #[tokio::test]
    async fn components_of_one_version_share_a_pool() {
        let pools = IdlePools::<Fake>::default();
        let outbound = Arc::new(Outbound::default());
        let first = pools.beside(&outbound, Kind::Redis);
        assert!(Arc::ptr_eq(&first, &pools.beside(&outbound, Kind::Redis)));
        let other = pools.beside(&Arc::new(Outbound::default()), Kind::Redis);
        assert!(!Arc::ptr_eq(&first, &other));
    }
}
