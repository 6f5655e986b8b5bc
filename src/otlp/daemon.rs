//! What the daemon itself tells: its spans, metrics and log records, from OpenTelemetry's SDK into the queues.
//!
//! The SDK samples, numbers and adds up; its exporters are not used, since the queues are there already, with one set of
//! connections and one set of rules for all that leaves the process.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry::logs::LoggerProvider as _;
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::{OTelSdkError, OTelSdkResult};
use opentelemetry_sdk::logs::{LogProcessor, SdkLogRecord, SdkLoggerProvider};
use opentelemetry_sdk::metrics::data::ResourceMetrics;
use opentelemetry_sdk::metrics::exporter::PushMetricExporter;
use opentelemetry_sdk::metrics::{Instrument, PeriodicReader, SdkMeterProvider, Stream, Temporality};
use opentelemetry_sdk::trace::{SdkTracerProvider, Span, SpanData, SpanProcessor};
use tokio::sync::Semaphore;

use super::exporter::Exporter;
use crate::telemetry;

/// Bytes of the daemon's own data that may wait for the collector, of each signal.
const BUDGET: usize = 8 << 20;
/// Who tells.
const SCOPE: &str = "lepton";
const SERVICE_NAME: &str = "service.name";
/// Combinations of an instrument's attributes that are told apart: others are one, as collectors take messages of 4 MiB.
const MAX_COMBINATIONS: usize = 10_000;

/// What the daemon tells of itself, until the process ends.
pub struct DaemonTelemetry {
    metrics: Option<SdkMeterProvider>,
}

impl DaemonTelemetry {
    /// Begins to tell.
    pub fn start(exporter: &Arc<Exporter>) -> Self {
        let resource = resource(&exporter.resource);
        if exporter.traces.is_some() {
            let provider = SdkTracerProvider::builder()
                .with_span_processor(ToQueue::new(exporter))
                .with_resource(resource.clone());
            telemetry::trace_with(provider.build().tracer(SCOPE));
        }
        if exporter.logs.is_some() {
            let provider = SdkLoggerProvider::builder()
                .with_log_processor(ToQueue::new(exporter))
                .with_resource(resource.clone());
            telemetry::record_with(provider.build().logger(SCOPE));
        }
        let metrics = exporter.metrics.is_some().then(|| {
            let limit = |_: &Instrument| {
                Stream::builder()
                    .with_cardinality_limit(MAX_COMBINATIONS)
                    .build()
                    .ok()
            };
            let provider = SdkMeterProvider::builder()
                .with_reader(PeriodicReader::builder(ToQueue::new(exporter)).build())
                .with_resource(resource)
                .with_view(limit)
                .build();
            telemetry::measure_with(&provider.meter(SCOPE));
            provider
        });
        Self { metrics }
    }

    /// Hands over what has been measured since the last time.
    pub async fn flush(self) {
        if let Some(metrics) = self.metrics {
            // It waits for the reader's thread. What went wrong has been told there.
            let _ = tokio::task::spawn_blocking(move || metrics.force_flush()).await;
        }
    }
}

fn resource(named: &[(String, String)]) -> Resource {
    let mut attributes = vec![
        KeyValue::new(SERVICE_NAME, SCOPE),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
    ];
    // The operator's come later, and win.
    attributes.extend(
        named
            .iter()
            .map(|(name, value)| KeyValue::new(name.clone(), value.clone())),
    );
    Resource::builder_empty().with_attributes(attributes).build()
}

/// From the SDK into the queue of a signal.
struct ToQueue {
    exporter: Arc<Exporter>,
    budget: Arc<Semaphore>,
    resource: ResourceAttributesWithSchema,
}

impl ToQueue {
    fn new(exporter: &Arc<Exporter>) -> Self {
        Self {
            exporter: exporter.clone(),
            budget: Arc::new(Semaphore::new(BUDGET)),
            resource: ResourceAttributesWithSchema::default(),
        }
    }
}

impl fmt::Debug for ToQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToQueue").finish_non_exhaustive()
    }
}

/// What the traits of all signals ask for and the queue does not need: whoever ends the process flushes it.
macro_rules! nothing_to_flush {
    () => {
        fn force_flush(&self) -> OTelSdkResult {
            Ok(())
        }

        fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
            Ok(())
        }
    };
}

impl SpanProcessor for ToQueue {
    nothing_to_flush!();

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }

    fn on_start(&self, _: &mut Span, _: &opentelemetry::Context) {}

    fn on_end(&self, span: SpanData) {
        if let Some(queue) = self
            .exporter
            .traces
            .as_ref()
            .filter(|_| span.span_context.is_sampled())
        {
            // What does not fit is counted there.
            let _ = queue.push(ResourceSpans::new(span, &self.resource), &self.budget);
        }
    }
}

impl LogProcessor for ToQueue {
    nothing_to_flush!();

    fn set_resource(&mut self, resource: &Resource) {
        self.resource = resource.into();
    }

    fn emit(&self, record: &mut SdkLogRecord, scope: &InstrumentationScope) {
        let Some(queue) = &self.exporter.logs else {
            return;
        };
        let scope_logs = ScopeLogs {
            scope: Some((scope, record.target().cloned()).into()),
            log_records: vec![LogRecord::from(&*record)],
            ..ScopeLogs::default()
        };
        let logs = ResourceLogs {
            resource: Some(resource::v1::Resource {
                attributes: self.resource.attributes.0.clone(),
                ..resource::v1::Resource::default()
            }),
            scope_logs: vec![scope_logs],
            ..ResourceLogs::default()
        };
        // What does not fit is counted there.
        let _ = queue.push(logs, &self.budget);
    }
}

impl PushMetricExporter for ToQueue {
    nothing_to_flush!();

    async fn export(&self, metrics: &ResourceMetrics) -> OTelSdkResult {
        let Some(queue) = &self.exporter.metrics else {
            return Ok(());
        };
        for metrics in ExportMetricsServiceRequest::from(metrics).resource_metrics {
            let pushed = queue.push(metrics, &self.budget);
            pushed.map_err(|full| OTelSdkError::InternalFailure(full.to_string()))?;
        }
        Ok(())
    }

    fn temporality(&self) -> Temporality {
        Temporality::Cumulative
    }
}
