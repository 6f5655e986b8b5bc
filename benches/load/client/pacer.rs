//! A clock that ticks at a rate, to some microseconds: an async runtime's own timers are a millisecond coarse.

use std::num::NonZeroU64;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedSender;

/// By how many nanoseconds the kernel may let the thread sleep longer than it asked.
const SLACK: NonZeroU64 = NonZeroU64::MIN;

/// Sends `rate` times a second when a tick was due, which may be a while ago, for as long as there are to be `more`.
pub fn start(
    rate: f64,
    due: UnboundedSender<Instant>,
    mut more: impl FnMut() -> bool + Send + 'static,
) -> JoinHandle<()> {
    let period = Duration::from_secs_f64(1.0 / rate);
    thread::spawn(move || {
        rustix::thread::set_current_timer_slack(Some(SLACK)).expect("Linux takes it");
        let mut next = Instant::now();
        while more() {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            due.send(next).expect("clients that wait");
            next += period;
        }
    })
}
