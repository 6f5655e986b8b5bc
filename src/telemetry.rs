//! The log subscriber, counts of what would be logged too often, and what is told of requests by OpenTelemetry.
//!
//! Whether anybody wants to be told is a static of each kind: where nobody does, a request looks at two of them.

mod form;
mod records;
mod requests;
mod spin;
mod tally;
mod trace;

use std::io::{IsTerminal, LineWriter, Write};
use std::sync::OnceLock;

use indicatif::MultiProgress;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer as _};

pub use form::LogFormat;
pub(crate) use records::record_with;
pub(crate) use requests::{RequestTelemetry, execution, outbound, request, routed};
pub(crate) use spin::{MemoryOf, called, inferred};
pub(crate) use tally::Tally;
pub use trace::CurrentSpan;
pub(crate) use trace::{is_traced, trace_with};

/// The names of attributes, as in what guests tell.
const APP: &str = "app_id";
const COMPONENT: &str = "component_id";

/// What is logged when nothing else is asked for: this program and its guests, and what others find alarming.
pub(crate) const DEFAULT_FILTER: &str = "warn,lepton=info,guest=info";

/// What a command logs beside what it prints.
const COMMAND_FILTER: &str = "warn";

static BARS: OnceLock<MultiProgress> = OnceLock::new();

/// What the daemon logs, and how.
#[derive(Debug, Clone)]
pub struct LogSettings {
    /// As [`check_filter`] has accepted it.
    pub filter: String,
    pub format: LogFormat,
}

/// Says what is wrong with levels by target, in the form of `RUST_LOG`.
pub(crate) fn check_filter(filter: &str) -> Result<(), String> {
    match EnvFilter::builder().parse(filter) {
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Starts logging to standard error. Call it once, first thing.
pub fn init(settings: &LogSettings) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(AboveTheBars)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false);
    let journal = std::env::var("JOURNAL_STREAM").ok();
    let lines = match settings.format {
        LogFormat::Json => lines
            .with_ansi(false)
            .with_target(true)
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
        LogFormat::Text if form::is_journal(journal.as_deref()) => {
            lines.without_time().map_event_format(form::WithPriority).boxed()
        }
        LogFormat::Text => lines.boxed(),
    };
    tracing_subscriber::registry()
        .with(lines)
        .with(records::Records)
        .with(EnvFilter::new(&settings.filter))
        .init();
}

/// The same for a command, which prints what it does: only what is alarming, unless `RUST_LOG` says otherwise.
pub fn init_for_command() {
    let filter = std::env::var(EnvFilter::DEFAULT_ENV).ok();
    init(&LogSettings {
        filter: filter
            .filter(|filter| check_filter(filter).is_ok())
            .unwrap_or_else(|| COMMAND_FILTER.to_owned()),
        format: LogFormat::Text,
    });
}

/// Has requests and calls measured from now on; only the first meter counts.
pub(crate) fn measure_with(meter: &opentelemetry::metrics::Meter) {
    requests::measure_with(meter);
    spin::count_with(meter);
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
