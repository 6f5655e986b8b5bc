//! A protocol double of a libSQL server: there is none to be had for tests. It is the one that the unit tests use.

#[allow(dead_code, reason = "what it counts concerns the unit tests alone")]
#[path = "../../src/host/sqlite/libsql/testing.rs"]
mod double;

pub(crate) use double::LibsqlDouble;
