//! The daemon's log, as log records of OpenTelemetry.

use std::fmt;
use std::sync::OnceLock;
use std::time::SystemTime;

use opentelemetry::logs::{AnyValue, LogRecord as _, Logger as _, Severity};
use opentelemetry_sdk::logs::{SdkLogRecord, SdkLogger};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// Who takes records to the collector: what they tell would make more records, which they would tell of again.
const WAY_THERE: [&str; 7] = [
    "lepton::otlp",
    "opentelemetry",
    "hyper",
    "h2",
    "tonic",
    "reqwest",
    "rustls",
];
const MESSAGE: &str = "message";

static LOGGER: OnceLock<SdkLogger> = OnceLock::new();

/// Has what is logged sent, too, from now on; only the first logger counts.
pub(crate) fn record_with(logger: SdkLogger) {
    // See `trace_with`.
    let _ = LOGGER.set(logger);
}

/// What the log's filter lets through becomes a record.
pub(super) struct Records;

impl<S: Subscriber> Layer<S> for Records {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let Some(logger) = LOGGER.get() else {
            return;
        };
        let metadata = event.metadata();
        let target = metadata.target();
        if WAY_THERE.iter().any(|way| target.starts_with(way)) {
            return;
        }
        let mut record = logger.create_log_record();
        record.set_target(target);
        record.set_timestamp(SystemTime::now());
        record.set_severity_number(severity(*metadata.level()));
        record.set_severity_text(metadata.level().as_str());
        event.record(&mut Fields(&mut record));
        logger.emit(record);
    }
}

fn severity(level: Level) -> Severity {
    match level {
        Level::ERROR => Severity::Error,
        Level::WARN => Severity::Warn,
        Level::INFO => Severity::Info,
        Level::DEBUG => Severity::Debug,
        Level::TRACE => Severity::Trace,
    }
}

/// Fields become attributes, and the message the body.
struct Fields<'a>(&'a mut SdkLogRecord);

impl Fields<'_> {
    fn add(&mut self, field: &Field, value: AnyValue) {
        match field.name() {
            MESSAGE => self.0.set_body(value),
            name => self.0.add_attribute(name, value),
        }
    }
}

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.add(field, format!("{value:?}").into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.add(field, value.to_owned().into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.add(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.add(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        match i64::try_from(value) {
            Ok(value) => self.add(field, value.into()),
            Err(_) => self.add(field, value.to_string().into()),
        }
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.add(field, value.into());
    }

    fn record_error(&mut self, field: &Field, value: &(dyn std::error::Error + 'static)) {
        self.add(field, crate::errors::chain(value).into());
    }
}
