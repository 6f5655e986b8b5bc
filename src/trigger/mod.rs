//! What starts a guest: HTTP requests (`docs/contract/http-trigger.md`), and events (`docs/contract/triggers.md`).
//!
//! Every kind has the same shape: a plan, read from the locked app; `prepare`, which links and tries everything and reaches
//! nothing outside; `start`, which puts a version of an app in the place of the one before it, in one step.

pub mod command;
mod command_guest;
pub mod cron;
mod event;
mod guest;
pub mod http;
pub mod mqtt;
pub mod redis;
pub mod sqs;

pub use event::{AnyEventKind, AnyEventPlan, EventKind, PlanError, PrepareError, Running, StartEvents};
pub use guest::{AppInput, PreparedComponent};
