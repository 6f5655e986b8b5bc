//! How many connections an address and each of its clients have, and may have.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::bind::ListenAddress;
use crate::telemetry::Tally;

/// Bits of an IPv6 address that are one client's: the network that a household or a machine is given has 64.
const CLIENT_BITS: u32 = 64;

/// The connections of one address.
#[derive(Default)]
pub(super) struct Connections {
    open: Mutex<Open>,
    refused: Tally,
    refused_of_clients: Tally,
}

#[derive(Default)]
struct Open {
    all: usize,
    clients: HashMap<IpAddr, usize>,
}

/// A connection that is counted.
pub(super) struct Counted {
    connections: Arc<Connections>,
    client: Option<IpAddr>,
}

impl Connections {
    /// Counts one. `None`, and a line in the log once a minute, when there are as many as there may be.
    pub(super) fn admit(
        self: &Arc<Self>,
        most: Option<NonZeroUsize>,
        address: &ListenAddress,
    ) -> Option<Counted> {
        let mut open = self.lock();
        if most.is_some_and(|most| open.all >= most.get()) {
            drop(open);
            if let Some(refused) = self.refused.add() {
                tracing::warn!(%address, refused, "connections are closed at once: see --max-connections");
            }
            return None;
        }
        open.all += 1;
        Some(Counted {
            connections: self.clone(),
            client: None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        // Nothing panics while it is held.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    /// Counts it among those of its client, too. `false`, and a line in the log once a minute, when there are as many as
    /// there may be.
    pub(super) fn admit_client(
        &mut self,
        client: IpAddr,
        most: NonZeroUsize,
        address: &ListenAddress,
    ) -> bool {
        let client = network_of(client);
        let mut open = self.connections.lock();
        let count = open.clients.entry(client).or_default();
        if *count >= most.get() {
            drop(open);
            if let Some(refused) = self.connections.refused_of_clients.add() {
                tracing::warn!(
                    %address,
                    %client,
                    refused,
                    "connections of clients are closed at once: see --max-connections-per-client"
                );
            }
            return false;
        }
        *count += 1;
        self.client = Some(client);
        true
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all -= 1;
        let Some(client) = self.client else { return };
        if let Some(count) = open.clients.get_mut(&client) {
            *count -= 1;
            if *count == 0 {
                open.clients.remove(&client);
            }
        }
    }
}

fn network_of(client: IpAddr) -> IpAddr {
    match client.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & !(u128::MAX >> CLIENT_BITS)).into(),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address() -> ListenAddress {
        ListenAddress::Unix("s".into())
    }

    #[test]
    fn an_address_has_so_many_and_those_that_end_make_room() {
        let (connections, most) = (Arc::new(Connections::default()), NonZeroUsize::new(2));
        let admit = || connections.admit(most, &address());
        let first = admit().unwrap();
        let _second = admit().unwrap();
        assert!(admit().is_none());
        drop(first);
        assert!(admit().is_some());
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_a_network_of_ipv6() {
        let connections = Arc::new(Connections::default());
        let most = NonZeroUsize::new(1).unwrap();
        let admit = |client: &str| {
            let mut counted = connections.admit(None, &address()).unwrap();
            let admitted = counted.admit_client(client.parse().unwrap(), most, &address());
            admitted.then_some(counted)
        };
        let one = admit("192.0.2.1").unwrap();
        assert!(admit("192.0.2.1").is_none() && admit("::ffff:192.0.2.1").is_none());
        let _other = admit("192.0.2.2").unwrap();
        let _network = admit("2001:db8::1").unwrap();
        assert!(admit("2001:db8::ffff:0:0:2").is_none());
        let _next = admit("2001:db8:0:1::1").unwrap();
        drop(one);
        drop(admit("192.0.2.1").unwrap());
        assert_eq!(connections.lock().clients.len(), 3);
    }
}
