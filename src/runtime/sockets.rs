//! Who decides about raw sockets: this room only asks.

use std::fmt::Debug;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

pub use wasmtime_wasi::sockets::SocketAddrUse;

/// The answer to one question.
pub type Permitted = Pin<Box<dyn Future<Output = bool> + Send + Sync>>;

/// The rules for the sockets of one component's instances.
pub trait SocketRules: Debug + Send + Sync {
    /// Whether an instance may use `address` so.
    fn permits(self: Arc<Self>, address: SocketAddr, purpose: SocketAddrUse) -> Permitted;
}
