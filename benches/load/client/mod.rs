//! The harness's own client: HTTP/1.1 on one thread, without a library in between that would be measured too.

mod connection;
mod pacer;
mod precedence;
mod reply;
mod run;
mod seen;
mod wait;

use std::time::Duration;

pub use connection::{Connection, Question};
pub use reply::Reply;
pub use run::{Extent, Questions, keep_asking, run, run_paced, same};
pub use seen::{Load, Run};
pub use wait::{
    answer, ask_all, wait_for_200, wait_for_all, wait_for_answer, wait_for_good, wait_for_refusal,
};

/// Pause between two attempts while waiting for one server.
const POLL: Duration = Duration::from_micros(100);
const PATIENCE: Duration = Duration::from_secs(120);

pub fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}
