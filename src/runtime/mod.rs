//! The two engines, their linkers, the data of a store, what an instance may use and uses, the epoch clock.
//!
//! Nothing here knows a socket, a registry or a directory. The interfaces themselves are linked by
//! [`crate::host`]; this room only holds what every instance of every app shares.

mod command;
mod dispatch;
mod engine;
mod engines;
mod epoch;
mod exhausted;
mod limits;
mod memory;
mod meter;
mod overruns;
mod parts;
mod sockets;
mod state;
mod stdio;
mod turns;

pub use crate::metrics::Reason;
pub use command::CommandState;
pub use dispatch::{DispatchError, LocalDispatch, MAX_CHAIN_DEPTH};
pub use engine::{Runtime, RuntimeError};
pub use engines::{EngineKind, Engines, MAX_INSTANCES_OF_APP};
pub use exhausted::is_exhausted;
pub use limits::InstanceLimits;
pub use meter::{Meter, Metered};
pub use overruns::{LimitReached, Overruns};
pub use parts::Interfaces;
pub use sockets::{Permitted, SocketAddrUse, SocketRules};
pub use state::{HostState, InstanceSettings};
pub use stdio::OutputRate;
pub use turns::AppShare;
