//! What one app may have of the network beyond the names that it may reach: networks that its operator blocks or keeps it
//! in, and numbers of connections (`docs/contract/host-interfaces.md §4.3`, `docs/contract/runtime-config.md §7`).

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::network::Network;

/// Addresses outside the app's networks that are remembered, so that each is logged once.
const MAX_REMEMBERED: usize = 256;

/// What a connection is for; each kind may have a limit of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Http,
    Redis,
    Postgres,
    Mysql,
    Mqtt,
    Socket,
}

/// The most connections of each kind; `None` is any number, 0 forbids them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConnectionLimits {
    pub http: Option<usize>,
    pub redis: Option<usize>,
    pub postgres: Option<usize>,
    pub mysql: Option<usize>,
    pub mqtt: Option<usize>,
    pub socket: Option<usize>,
    /// Of all kinds together.
    pub total: Option<usize>,
}

/// Why nothing could be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("the name can't be resolved")]
    Resolve(#[source] std::io::Error),
    #[error("every address of the host is in a network that the operator keeps the app out of")]
    Blocked,
    #[error("no connection could be made")]
    Connect(#[source] std::io::Error),
    #[error("the operator allows no connections of this kind")]
    NoConnectionsAllowed,
}

/// The network as one version of an app may use it.
#[derive(Debug, Default)]
pub struct Outbound {
    blocked: Vec<Network>,
    only: Option<Only>,
    limits: ConnectionLimits,
    places: Places,
}

/// The networks that an app is kept in.
#[derive(Debug)]
struct Only {
    app: Arc<str>,
    networks: Vec<Network>,
    denied: Mutex<HashSet<IpAddr>>,
}

#[derive(Debug, Default)]
struct Places {
    http: Option<Arc<Semaphore>>,
    redis: Option<Arc<Semaphore>>,
    postgres: Option<Arc<Semaphore>>,
    mysql: Option<Arc<Semaphore>>,
    mqtt: Option<Arc<Semaphore>>,
    socket: Option<Arc<Semaphore>>,
    total: Option<Arc<Semaphore>>,
}

/// Leave to have one connection, for as long as it is kept.
#[derive(Debug)]
pub struct Permit {
    _kind: Option<OwnedSemaphorePermit>,
    _total: Option<OwnedSemaphorePermit>,
}

impl Outbound {
    /// A network without `blocked`, and with no more connections than `limits`.
    pub fn new(blocked: Vec<Network>, limits: ConnectionLimits) -> Self {
        let semaphore = |limit: Option<usize>| {
            limit.map(|limit| Arc::new(Semaphore::new(limit.min(Semaphore::MAX_PERMITS))))
        };
        let places = Places {
            http: semaphore(limits.http),
            redis: semaphore(limits.redis),
            postgres: semaphore(limits.postgres),
            mysql: semaphore(limits.mysql),
            mqtt: semaphore(limits.mqtt),
            socket: semaphore(limits.socket),
            total: semaphore(limits.total),
        };
        Self {
            blocked,
            only: None,
            limits,
            places,
        }
    }

    /// Keeps the app in `networks`, besides keeping it out of those that are blocked.
    pub fn within(mut self, app: Arc<str>, networks: Vec<Network>) -> Self {
        self.only = Some(Only {
            app,
            networks,
            denied: Mutex::default(),
        });
        self
    }

    /// Whether nothing is blocked or limited.
    pub fn is_unrestricted(&self) -> bool {
        self.blocked.is_empty() && self.only.is_none() && self.limits == ConnectionLimits::default()
    }

    /// Whether the operator keeps the app from this address.
    pub fn blocks(&self, address: IpAddr) -> bool {
        self.blocked.iter().any(|network| network.contains(address))
            || self.only.as_ref().is_some_and(|only| only.denies(address))
    }

    /// The addresses of a host, without the blocked ones; at least one.
    pub async fn resolve(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, ReachError> {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = tokio::net::lookup_host((host, port)).await;
        let found: Vec<SocketAddr> = found.map_err(ReachError::Resolve)?.collect();
        if found.is_empty() {
            let nothing = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
            return Err(ReachError::Resolve(nothing));
        }
        let allowed: Vec<SocketAddr> = found
            .into_iter()
            .filter(|address| !self.blocks(address.ip()))
            .collect();
        if allowed.is_empty() {
            return Err(ReachError::Blocked);
        }
        Ok(allowed)
    }

    /// A connection to the first address of a host that answers.
    pub async fn connect(&self, host: &str, port: u16) -> Result<TcpStream, ReachError> {
        let addresses = self.resolve(host, port).await?;
        let stream = TcpStream::connect(&*addresses)
            .await
            .map_err(ReachError::Connect)?;
        // Only a matter of latency; a socket that refuses it still works.
        let _ = stream.set_nodelay(true);
        Ok(stream)
    }

    /// Waits for a place; whoever waits bounds the time.
    pub async fn permit(&self, kind: Kind) -> Result<Permit, ReachError> {
        if self.limit(kind) == Some(0) || self.limits.total == Some(0) {
            return Err(ReachError::NoConnectionsAllowed);
        }
        Ok(Permit {
            _kind: acquire(self.places.of(kind)).await,
            _total: acquire(self.places.total.as_ref()).await,
        })
    }

    /// A place if there is one now.
    pub fn try_permit(&self, kind: Kind) -> Option<Permit> {
        let take = |places: Option<&Arc<Semaphore>>| match places {
            None => Some(None),
            Some(places) => places.clone().try_acquire_owned().ok().map(Some),
        };
        Some(Permit {
            _kind: take(self.places.of(kind))?,
            _total: take(self.places.total.as_ref())?,
        })
    }

    /// Whether there is a number of connections of this kind that can't be exceeded.
    pub fn is_limited(&self, kind: Kind) -> bool {
        self.limit(kind).is_some() || self.limits.total.is_some()
    }

    fn limit(&self, kind: Kind) -> Option<usize> {
        match kind {
            Kind::Http => self.limits.http,
            Kind::Redis => self.limits.redis,
            Kind::Postgres => self.limits.postgres,
            Kind::Mysql => self.limits.mysql,
            Kind::Mqtt => self.limits.mqtt,
            Kind::Socket => self.limits.socket,
        }
    }
}

impl Only {
    /// A denial is logged once, with what to add.
    fn denies(&self, address: IpAddr) -> bool {
        let denied = !self.networks.iter().any(|network| network.covers(address));
        if denied {
            // No panic can happen while it is held.
            let mut known = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
            if known.len() < MAX_REMEMBERED && known.insert(address) {
                tracing::warn!(
                    app = %self.app,
                    add = format!("\"outbound_networks\": [\"{address}\"]"),
                    "an address outside the app's limit `outbound_networks` was denied"
                );
            }
        }
        denied
    }
}

impl Places {
    fn of(&self, kind: Kind) -> Option<&Arc<Semaphore>> {
        match kind {
            Kind::Http => self.http.as_ref(),
            Kind::Redis => self.redis.as_ref(),
            Kind::Postgres => self.postgres.as_ref(),
            Kind::Mysql => self.mysql.as_ref(),
            Kind::Mqtt => self.mqtt.as_ref(),
            Kind::Socket => self.socket.as_ref(),
        }
    }
}

async fn acquire(places: Option<&Arc<Semaphore>>) -> Option<OwnedSemaphorePermit> {
    // The semaphores are never closed, so that the only error can't happen.
    places?.clone().acquire_owned().await.ok()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    fn outbound(blocked: &[&str], limits: ConnectionLimits) -> Outbound {
        Outbound::new(blocked.iter().map(|text| text.parse().unwrap()).collect(), limits)
    }

    #[tokio::test]
    async fn blocked_addresses_are_left_out_after_resolution() {
        let blocking = outbound(&["127.0.0.0/8"], ConnectionLimits::default());
        assert!(matches!(
            blocking.resolve("127.0.0.1", 80).await,
            Err(ReachError::Blocked)
        ));
        let open = outbound(&["10.0.0.0/8"], ConnectionLimits::default());
        assert_eq!(
            open.resolve("127.0.0.1", 80).await.unwrap(),
            ["127.0.0.1:80".parse().unwrap()]
        );
    }

    #[tokio::test]
    async fn an_app_is_kept_in_its_networks() {
        let only = |networks: &[&str], blocked: &[&str]| {
            let networks = networks.iter().map(|text| text.parse().unwrap()).collect();
            outbound(blocked, ConnectionLimits::default()).within("app".into(), networks)
        };
        assert!(only(&["127.0.0.0/8"], &[]).resolve("127.0.0.1", 80).await.is_ok());
        for outside in [
            only(&["10.0.0.0/8"], &[]),
            only(&[], &[]),
            only(&["127.0.0.0/8"], &["127.0.0.1"]),
        ] {
            let refused = outside.resolve("127.0.0.1", 80).await;
            assert!(matches!(refused, Err(ReachError::Blocked)));
            assert!(!outside.is_unrestricted());
        }
    }

    #[tokio::test]
    async fn a_permit_is_waited_for_and_given_back() {
        let limits = ConnectionLimits {
            redis: Some(1),
            ..ConnectionLimits::default()
        };
        let outbound = outbound(&[], limits);
        let first = outbound.permit(Kind::Redis).await.unwrap();
        assert!(outbound.permit(Kind::Redis).now_or_never().is_none());
        assert!(outbound.try_permit(Kind::Redis).is_none());
        assert!(outbound.try_permit(Kind::Mysql).is_some());
        drop(first);
        assert!(outbound.permit(Kind::Redis).now_or_never().is_some());
    }

    #[tokio::test]
    async fn the_limit_over_all_kinds_counts_each() {
        let limits = ConnectionLimits {
            total: Some(1),
            ..ConnectionLimits::default()
        };
        let outbound = outbound(&[], limits);
        let _redis = outbound.permit(Kind::Redis).await.unwrap();
        assert!(outbound.permit(Kind::Mysql).now_or_never().is_none());
    }

    #[tokio::test]
    async fn zero_forbids_at_once() {
        let limits = ConnectionLimits {
            mqtt: Some(0),
            ..ConnectionLimits::default()
        };
        let error = outbound(&[], limits).permit(Kind::Mqtt).await.unwrap_err();
        assert!(matches!(error, ReachError::NoConnectionsAllowed));
    }
}
