//! Addresses of the loopback network that nothing else uses: ports below the ephemeral ones, which clients get, and
//! for each run of the harness a network of its own.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU32, Ordering};

const PORT: u16 = 8000;
/// Networks 127.16.0.0/16 to 127.215.0.0/16.
const FIRST_NETWORK: u32 = 16;
const NETWORKS: u32 = 200;

/// Another one each time.
pub fn next() -> SocketAddr {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let [.., third, fourth] = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let network = FIRST_NETWORK + std::process::id() % NETWORKS;
    (Ipv4Addr::new(127, network as u8, third, fourth), PORT).into()
}
