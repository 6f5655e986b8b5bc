//! A bar for each artifact that is being fetched, on a terminal.

use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use crate::oci::{Progress, ProgressItem};

/// How often a bar whose bytes stand still shows that it lives.
const TICK: Duration = Duration::from_millis(120);
const WITH_TOTAL: &str = "{prefix} {bar:30} {bytes}/{total_bytes} {bytes_per_sec}";
const WITHOUT_TOTAL: &str = "{prefix} {spinner} {bytes} {bytes_per_sec}";

/// Bars on standard error.
pub struct Bars {
    bars: MultiProgress,
}

impl Bars {
    /// Bars among the lines of the log: `bars` is what the log's writer moves out of its way.
    pub fn new(bars: MultiProgress) -> Self {
        Self { bars }
    }
}

struct Bar(ProgressBar);

impl Progress for Bars {
    fn start(&self, what: &str, total: Option<u64>) -> Box<dyn ProgressItem> {
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), WITH_TOTAL),
            None => (ProgressBar::no_length(), WITHOUT_TOTAL),
        };
        let bar = self.bars.add(bar).with_prefix(what.to_owned());
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.enable_steady_tick(TICK);
        Box::new(Bar(bar))
    }
}

impl ProgressItem for Bar {
    fn advance(&self, bytes: u64) {
        self.0.inc(bytes);
    }

    fn retract(&self, bytes: u64) {
        self.0.dec(bytes);
    }

    fn finish(self: Box<Self>) {
        tracing::info!(
            artifact = self.0.prefix(),
            bytes = self.0.position(),
            "artifact fetched"
        );
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
