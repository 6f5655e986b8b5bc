//! Memory that was freed goes back to the system.
//!
//! The allocator keeps for each thread what others have freed of it until that thread allocates again: one that has nothing to do
//! would hold it for ever. After much was let go, each thread gives it back when it next has nothing to do.

use std::cell::Cell;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// The allocator's way to give back what a thread has of free memory.
static COLLECT: OnceLock<fn()> = OnceLock::new();
/// How often that was asked for.
static ASKED: AtomicU64 = AtomicU64::new(0);

thread_local! {
    /// Up to where this thread has done so.
    static DONE: Cell<u64> = const { Cell::new(0) };
}

/// Tells how. Without it nothing is done: other allocators have ways of their own.
pub fn collect_by(collect: fn()) {
    // Told once, by whoever chooses the allocator.
    let _ = COLLECT.set(collect);
}

/// Has every thread give back what is free when it is next at [`when_idle`].
pub(crate) fn ask() {
    ASKED.fetch_add(1, Ordering::Relaxed);
}

/// To be called by a thread that has nothing to do.
pub(crate) fn when_idle() {
    let asked = ASKED.load(Ordering::Relaxed);
    if DONE.replace(asked) != asked
        && let Some(collect) = COLLECT.get()
    {
        collect();
    }
}
