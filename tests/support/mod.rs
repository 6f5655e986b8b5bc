//! What the scenarios are written with.

pub mod admin;
pub mod app;
pub mod artifact;
pub mod balancer;
pub mod browser;
pub mod client;
pub mod cosign;
pub mod daemon;
pub mod doubles;
pub mod guests;
pub mod haproxy;
pub mod layout;
pub mod libsql;
pub mod load;
pub mod mosquitto;
#[cfg(feature = "aws")]
pub mod moto;
pub mod mysql;
pub mod openbao;
pub mod pebble;
pub mod peer;
pub mod postgres;
pub mod raw;
pub mod redis;
pub mod registry;
pub mod relay;
pub mod service_manager;
pub mod status;
pub mod tls;
pub mod tls_client;
pub mod tokens;
pub mod tool;
pub mod wait;

/// The daemon, a client's connection, an app and where it is kept: what most scenarios begin with.
pub mod prelude {
    pub use serde_json::json;

    pub use super::app::{App, Component};
    pub use super::artifact::Shape;
    pub use super::client::{Connection, get};
    pub use super::daemon::{Daemon, served};
    pub use super::guests::guest;
    pub use super::layout::Layout;
    pub use super::registry::Registry;
}
