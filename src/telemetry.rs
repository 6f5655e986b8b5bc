//! The log subscriber, and counts of what would be logged too often.

mod tally;

use std::io::{IsTerminal, LineWriter, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

pub(crate) use tally::Tally;

/// What is logged when `RUST_LOG` says nothing: this program and its guests, and what others find alarming.
const DEFAULT_FILTER: &str = "warn,lepton=info,guest=info";

/// The same for a command, which prints what it does.
const COMMAND_FILTER: &str = "warn";

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// Starts logging to standard error, filtered by `RUST_LOG`. Call it once, first thing.
pub fn init() {
    start(DEFAULT_FILTER);
}

/// The same for a command: only what is alarming.
pub fn init_for_command() {
    start(COMMAND_FILTER);
}

fn start(default: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(AboveTheBars)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    tracing_subscriber::registry().with(filter).with(lines).init();
}

/// The progress bars that lines of the log are written above; `None` where standard error is no terminal.
pub fn bars() -> Option<MultiProgress> {
    std::io::stderr()
        .is_terminal()
        .then(|| BARS.get_or_init(MultiProgress::new).clone())
}

/// Standard error, with the bars out of the way while a line is written: otherwise each would break the other.
struct AboveTheBars;

impl<'a> MakeWriter<'a> for AboveTheBars {
    type Writer = LineWriter<Self>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter::new(Self)
    }
}

impl Write for AboveTheBars {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match BARS.get() {
            Some(bars) => bars.suspend(|| std::io::stderr().write(bytes)),
            None => std::io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
