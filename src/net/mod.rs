//! What a guest may reach and how: allowed hosts, dialling, TLS, pools.

mod allowed_hosts;
mod client;
mod dial;
mod error;
mod pattern;
mod unix;

pub use allowed_hosts::{AllowedHosts, Destination};
pub use client::{HttpClient, ResponseBody, Timeouts};
pub use error::SendError;
pub use pattern::PatternError;
pub use unix::{SocketFile, remove_stale_socket};
