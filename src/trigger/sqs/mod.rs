//! The SQS trigger (`docs/contract/triggers.md §4`): messages of queues. Amazon's crates are in the feature `aws` alone.
//!
//! A queue's poller belongs to the app, and goes on while the app's version behind it changes.

#[cfg(not(feature = "aws"))]
mod absent;
#[cfg(feature = "aws")]
mod app;
#[cfg(feature = "aws")]
mod message;
#[cfg(feature = "aws")]
mod plan;
#[cfg(feature = "aws")]
mod poll;

#[cfg(not(feature = "aws"))]
pub use absent::SqsShared;
#[cfg(feature = "aws")]
pub use app::SqsShared;

/// The kind of trigger that this room runs.
const KIND: &str = "sqs";
