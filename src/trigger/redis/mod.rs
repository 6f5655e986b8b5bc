//! The Redis trigger (`docs/contract/triggers.md §2`): messages of channels.
//!
//! A subscription belongs to an app and a server. It stays open while the app's version behind it changes, and is opened
//! again whenever it is lost: a server that is down keeps no app from starting.

mod app;
mod gate;
mod message;
mod plan;
mod server;
mod subscription;

pub use app::RedisShared;
