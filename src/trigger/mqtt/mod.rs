//! The MQTT trigger (`docs/contract/triggers.md §6`): messages of topics.
//!
//! Each trigger has a connection of its own. It belongs to the app, and stays open while the app's version behind it
//! changes; it is opened again whenever it is lost.

mod app;
mod backlog;
mod broker;
mod connection;
mod message;
mod plan;

pub use app::MqttShared;
