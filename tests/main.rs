//! The daemon through its front door: the real `tauon`, real registries, real guests.
//!
//! `tests/run` is the test command; `tests/setup` brings what these tests need. Each scenario names what it covers in
//! its file's head; nothing waits for a length of time, only for what can be observed.

mod scenarios;
mod support;
