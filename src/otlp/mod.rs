//! The process's way to the operator's collector (OTLP), as the standard environment variables name it
//! (`docs/contract/runtime-config.md §8`).
//!
//! What guests tell and what the daemon tells goes the same way: into the bounded queue of its signal ([`queue`]), from which one
//! task for each signal sends batches ([`transport`]), and tries again. Nobody waits for the collector; what does not fit is
//! dropped and counted.

mod daemon;
mod exporter;
mod queue;
mod settings;
mod signal;
mod transport;

pub use daemon::DaemonTelemetry;
pub use exporter::Exporter;
pub(crate) use queue::Queue;
pub(crate) use signal::Traces;
