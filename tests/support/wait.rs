//! Waiting for what can be observed.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// How long anything may take before a scenario gives up: generous, because the machine may be busy with compiling.
pub const PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked again.
const LOOK_AGAIN: Duration = Duration::from_millis(15);

/// Looks until there is something to see.
///
/// # Panics
/// After [`PATIENCE`], with what was waited for and `last_seen`.
pub async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Result<T, String>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match look().await {
            Ok(seen) => return seen,
            Err(instead) if Instant::now() > deadline => {
                panic!("waited in vain for {what}; instead: {instead}")
            }
            Err(_) => sleep(LOOK_AGAIN).await,
        }
    }
}
