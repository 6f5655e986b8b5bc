//! The cron trigger (`docs/contract/triggers.md §3`): instants of a schedule.
//!
//! One clock for each app outlives its versions: an instant is fired once, by the version that is current then.

mod app;
mod clock;
mod plan;
mod schedule;
#[cfg(test)]
mod tests;
mod timetable;

pub use app::CronShared;
