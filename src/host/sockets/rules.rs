//! Which addresses the sockets of a component may use, and which names it may look up
//! (`docs/contract/host-interfaces.md §4.2, §7.1`).

use std::collections::VecDeque;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::host::context::ComponentContext;
use crate::host::permission::OutboundPermission;
use crate::net::{Kind, Outbound, Permit, ReachError};
use crate::runtime::{Permitted, SocketAddrUse, SocketRules};

/// Addresses that were found for names and are remembered, over all names of a component.
const MAX_FOUND: usize = 1024;
/// How long such an address stands for the name.
const FOUND_FOR: Duration = Duration::from_secs(600);

/// The rules of one component, shared by its instances.
pub(super) struct Rules {
    permission: Arc<OutboundPermission>,
    outbound: Arc<Outbound>,
    /// What lookups have found, oldest first: an entry with a name is also one for these addresses.
    found: Mutex<VecDeque<Found>>,
}

struct Found {
    address: IpAddr,
    name: String,
    at: Instant,
}

/// Why a name has no addresses for the component.
pub(super) enum LookupError {
    /// Nothing that the component may reach by a socket is of this name.
    NotAllowed,
    /// The operator blocks all that was found.
    Blocked,
    Unresolvable,
}

impl Rules {
    pub(super) fn of(context: &ComponentContext<'_>) -> Self {
        Self {
            permission: context.permission.clone(),
            outbound: context.outbound.clone(),
            found: Mutex::default(),
        }
    }

    /// A place for one socket; sockets never wait for one.
    pub(super) fn try_permit(&self) -> Option<Permit> {
        let permit = self.outbound.try_permit(Kind::Socket);
        if permit.is_none() {
            tracing::warn!("a guest has as many sockets as it may");
        }
        permit
    }

    /// Whether a guest may bind a UDP socket to the address. Logged as a denial when not.
    pub(super) async fn permits_udp_bind(&self, address: SocketAddr) -> bool {
        self.permission.allows_one_of(&[format!("udp://{address}")]).await
    }

    /// The addresses of a name, which stand for it from now on. Only for names that an entry for `tcp` or `udp` spells out:
    /// Spin resolves none at all, and entries with names are of no use there.
    pub(super) async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, LookupError> {
        if !self.permission.names_socket_host(name).await {
            return Err(LookupError::NotAllowed);
        }
        let addresses = self
            .outbound
            .resolve(name, 0)
            .await
            .map_err(|error| match error {
                ReachError::Blocked => LookupError::Blocked,
                _ => LookupError::Unresolvable,
            })?;
        let mut addresses: Vec<IpAddr> = addresses
            .into_iter()
            .map(|address| address.ip().to_canonical())
            .collect();
        addresses.dedup();
        self.remember(name, &addresses);
        Ok(addresses)
    }

    fn remember(&self, name: &str, addresses: &[IpAddr]) {
        let at = Instant::now();
        // No panic can happen while it is held.
        let mut found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        found.retain(|old| {
            at.duration_since(old.at) < FOUND_FOR && !(old.name == name && addresses.contains(&old.address))
        });
        for address in addresses {
            if found.len() == MAX_FOUND {
                found.pop_front();
            }
            found.push_back(Found {
                address: *address,
                name: name.to_owned(),
                at,
            });
        }
    }

    fn names_of(&self, address: IpAddr) -> Vec<String> {
        let found = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = found
            .iter()
            .filter(|found| found.address == address && found.at.elapsed() < FOUND_FOR);
        fresh.map(|found| found.name.clone()).collect()
    }

    async fn reaches(&self, scheme: &str, address: SocketAddr) -> bool {
        if self.outbound.blocks(address.ip()) {
            tracing::warn!(%address, "a guest's socket to a network that the operator blocks was denied");
            return false;
        }
        let port = address.port();
        let names = self.names_of(address.ip().to_canonical());
        let mut wanted = vec![format!("{scheme}://{address}")];
        wanted.extend(names.iter().map(|name| format!("{scheme}://{name}:{port}")));
        self.permission.allows_one_of(&wanted).await
    }

    async fn decide(&self, address: SocketAddr, purpose: SocketAddrUse) -> bool {
        match purpose {
            SocketAddrUse::TcpConnect => self.reaches("tcp", address).await,
            SocketAddrUse::UdpSend => self.reaches("udp", address).await,
            // Whom the guest may write to may answer; others reach a socket that was bound with the operator's leave.
            SocketAddrUse::UdpReceive => true,
            // What connecting and sending do by themselves; a guest that asks for it is answered before it comes here.
            SocketAddrUse::TcpBind => is_any(address),
            SocketAddrUse::UdpBind => is_any(address) || self.permits_udp_bind(address).await,
            SocketAddrUse::TcpListen | SocketAddrUse::TcpAccept => false,
        }
    }
}

/// Whether it leaves the choice to the system.
pub(super) fn is_any(address: SocketAddr) -> bool {
    address.ip().is_unspecified() && address.port() == 0
}

impl SocketRules for Rules {
    fn permits(self: Arc<Self>, address: SocketAddr, purpose: SocketAddrUse) -> Permitted {
        let decision = Box::pin(async move { self.decide(address, purpose).await });
        Box::pin(Exclusive(Mutex::new(decision)))
    }
}

impl fmt::Debug for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rules").finish_non_exhaustive()
    }
}

/// A future that can be shared between threads, because it is only ever polled by one that has it to itself.
struct Exclusive<F>(Mutex<Pin<Box<F>>>);

impl<F: Future> Future for Exclusive<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let inner = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::ConnectionLimits;
    use crate::variables::Variables;

    fn rules(entries: &[&str], blocked: &[&str]) -> Arc<Rules> {
        let entries: Vec<String> = entries.iter().map(|entry| (*entry).to_owned()).collect();
        let variables = Arc::new(Variables::new(Default::default(), Vec::new()));
        let permission =
            OutboundPermission::new("app".into(), "c".into(), &entries, Vec::new(), variables).unwrap();
        let blocked = blocked.iter().map(|network| network.parse().unwrap()).collect();
        Arc::new(Rules {
            permission: permission.into(),
            outbound: Outbound::new(blocked, ConnectionLimits::default()).into(),
            found: Mutex::default(),
        })
    }

    async fn permits(rules: &Arc<Rules>, address: &str, purpose: SocketAddrUse) -> bool {
        rules.clone().permits(address.parse().unwrap(), purpose).await
    }

    #[tokio::test]
    async fn sockets_reach_what_is_allowed_for_their_protocol() {
        use SocketAddrUse::{TcpConnect, UdpSend};
        let rules = rules(&["tcp://10.0.0.0/8:5000", "udp://[::1]:53"], &["10.9.0.0/16"]);
        assert!(permits(&rules, "10.1.2.3:5000", TcpConnect).await);
        assert!(!permits(&rules, "10.1.2.3:5001", TcpConnect).await);
        assert!(!permits(&rules, "10.1.2.3:5000", UdpSend).await);
        assert!(!permits(&rules, "10.9.0.1:5000", TcpConnect).await);
        assert!(permits(&rules, "[::1]:53", UdpSend).await);
    }

    #[tokio::test]
    async fn nothing_listens_and_only_what_is_named_is_bound() {
        use SocketAddrUse::{TcpBind, TcpListen, UdpBind};
        let rules = rules(&["*://*:*"], &[]);
        assert!(!permits(&rules, "127.0.0.1:0", TcpBind).await);
        assert!(!permits(&rules, "0.0.0.0:0", TcpListen).await);
        assert!(permits(&rules, "0.0.0.0:0", TcpBind).await);
        assert!(permits(&rules, "127.0.0.1:4000", UdpBind).await);
        let none = self::rules(&["tcp://*:*"], &[]);
        assert!(!permits(&none, "127.0.0.1:4000", UdpBind).await);
        assert!(!none.permits_udp_bind("0.0.0.0:0".parse().unwrap()).await);
    }

    #[tokio::test]
    async fn an_address_that_a_lookup_found_stands_for_its_name() {
        use SocketAddrUse::TcpConnect;
        let rules = rules(&["tcp://localhost:5432"], &[]);
        assert!(!permits(&rules, "127.0.0.1:5432", TcpConnect).await);
        let Ok(found) = rules.look_up("localhost").await else {
            panic!("the name of this machine")
        };
        let address = SocketAddr::new(found[0], 5432).to_string();
        assert!(permits(&rules, &address, TcpConnect).await);
        let other = SocketAddr::new(found[0], 5433).to_string();
        assert!(!permits(&rules, &other, TcpConnect).await);
    }

    #[tokio::test]
    async fn only_names_that_are_spelled_out_for_sockets_are_looked_up() {
        for entry in [
            "*://*:*",
            "http://localhost",
            "tcp://127.0.0.1:1",
            "*://localhost:1",
        ] {
            let refused = rules(&[entry], &[]).look_up("localhost").await;
            assert!(matches!(refused, Err(LookupError::NotAllowed)), "{entry}");
        }
        let blocked = rules(&["tcp://localhost:1"], &["127.0.0.0/8", "::1/128"]);
        assert!(matches!(
            blocked.look_up("localhost").await,
            Err(LookupError::Blocked)
        ));
    }
}
