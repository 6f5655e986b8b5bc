//! The one engine, the linker, the data of a store, the epoch clock.
//!
//! Nothing here knows a socket, a registry or a directory. The interfaces themselves are linked by
//! [`crate::host`]; this room only holds what every instance of every app shares.

mod dispatch;
mod engine;
mod epoch;
mod state;
mod stdio;

pub use dispatch::{DispatchError, LocalDispatch, MAX_CHAIN_DEPTH};
pub use engine::{MAX_INSTANCES_OF_APP, Runtime, RuntimeError};
pub use state::{HostState, InstanceSettings};
