//! What is counted of each app, in plain atomics that whoever asks reads.
//!
//! | file | responsibility |
//! |---|---|
//! | `apps.rs` | the apps that have numbers, and the way of one version to those of its app |
//! | `numbers.rs` | the numbers of one app, kept over its versions |
//! | `durations.rs` | how long requests took |
//! | `recent.rs` | what came in the last minutes, in steps |
//! | `kinds.rs` | what is told apart: limits, failures, classes of statuses |
//! | `served.rs` | one request, from its head to the last of its response |
//!
//! A request costs a few relaxed additions and two looks at the clock. An app that was never asked has no numbers.

mod apps;
mod durations;
mod kinds;
mod numbers;
mod recent;
mod served;

pub use apps::{AppMetrics, Apps};
pub use durations::{BOUNDS, Durations};
pub use kinds::{Failure, Reason, StatusClass};
pub use numbers::Numbers;
pub use recent::{STEP, STEPS, Step};
pub use served::Served;
