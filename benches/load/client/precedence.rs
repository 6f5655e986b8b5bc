//! Clients are on the machine of what they measure: were they to wait for its processor, so would the latencies that they see.

use std::sync::Once;

use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
    thread_native_id,
};

static REFUSED: Once = Once::new();

/// From now on this thread, and those that it starts, get the processor as soon as they want it, as a client on another
/// machine has it. Where the kernel refuses, they are like all others.
pub fn take() {
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    if let Err(error) = set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy) {
        REFUSED.call_once(|| eprintln!("latencies hold what clients wait for the processor: {error}"));
    }
}
