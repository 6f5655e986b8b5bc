//! OpenTelemetry. Scripts name spans; the data besides is always the same, with every member set.

use calls::{Call, Misunderstood, show};
use serde_json::json;

use crate::Shown;

mod bindings {
    use crate::wit_bindgen;

    wit_bindgen::generate!({
        inline: "
            package lepton:otel7;
            world apis {
                import wasi:otel/tracing@0.2.0-rc.2;
                import wasi:otel/metrics@0.2.0-rc.2;
                import wasi:otel/logs@0.2.0-rc.2;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:otel7/apis",
        runtime_path: "crate::wit_bindgen::rt",
        generate_all,
    });
}

use bindings::wasi::clocks::wall_clock::Datetime;
use bindings::wasi::otel::logs::{self, LogRecord};
use bindings::wasi::otel::metrics::{self, *};
use bindings::wasi::otel::tracing::{self, *};
use bindings::wasi::otel::types::{InstrumentationScope, KeyValue, Resource};

/// 2026-01-01, and a second after it.
const START: Datetime = Datetime {
    seconds: 1_767_225_600,
    nanoseconds: 1,
};
const END: Datetime = Datetime {
    seconds: 1_767_225_601,
    nanoseconds: 2,
};

pub fn call(call: &mut Call) -> Shown {
    Ok(match call.function.as_str() {
        "outer-span-context" => {
            let outer = tracing::outer_span_context();
            json!({
                "trace-id": outer.trace_id,
                "span-id": outer.span_id,
                "sampled": outer.trace_flags.contains(TraceFlags::SAMPLED),
                "is-remote": outer.is_remote,
                "trace-state": outer.trace_state,
            })
        }
        "on-start" => {
            tracing::on_start(&context(call.next()?, call.next()?));
            json!(null)
        }
        "on-end" => {
            let (trace, span, parent, name) = (call.next()?, call.next()?, call.next()?, call.next()?);
            tracing::on_end(&span_data(context(trace, span), parent, name));
            json!(null)
        }
        "export" => show(&metrics::export(&all_metrics())),
        "on-emit" => {
            logs::on_emit(&log_record(call.next()?, call.next()?, call.next()?));
            json!(null)
        }
        other => return Err(Misunderstood::function(other)),
    })
}

fn context(trace_id: String, span_id: String) -> SpanContext {
    SpanContext {
        trace_id,
        span_id,
        trace_flags: TraceFlags::SAMPLED,
        is_remote: false,
        trace_state: vec![("vendor".into(), "state".into())],
    }
}

/// An attribute of each kind that JSON has, and bytes.
fn attributes() -> Vec<KeyValue> {
    let bytes = r#""data:application/octet-stream;base64,AAH/""#;
    [
        ("text", r#""a text""#),
        ("number", "7"),
        ("fraction", "0.5"),
        ("truth", "true"),
        ("list", r#"["a","b"]"#),
        ("bytes", bytes),
    ]
    .map(|(key, value)| KeyValue {
        key: key.into(),
        value: value.into(),
    })
    .into()
}

fn scope() -> InstrumentationScope {
    InstrumentationScope {
        name: "guest".into(),
        version: Some("1.2.3".into()),
        schema_url: Some("https://example.org/scope".into()),
        attributes: attributes(),
    }
}

fn resource() -> Resource {
    Resource {
        attributes: attributes(),
        schema_url: Some("https://example.org/resource".into()),
    }
}

fn span_data(span_context: SpanContext, parent_span_id: String, name: String) -> SpanData {
    let linked = context(
        "0af7651916cd43dd8448eb211c80319c".into(),
        "00f067aa0ba902b7".into(),
    );
    SpanData {
        span_context,
        parent_span_id,
        span_kind: SpanKind::Client,
        name,
        start_time: START,
        end_time: END,
        attributes: attributes(),
        events: vec![Event {
            name: "happened".into(),
            time: START,
            attributes: attributes(),
        }],
        links: vec![Link {
            span_context: linked,
            attributes: attributes(),
        }],
        status: Status::Error("went wrong".into()),
        instrumentation_scope: scope(),
        dropped_attributes: 1,
        dropped_events: 2,
        dropped_links: 3,
    }
}

fn log_record(body: String, trace_id: String, span_id: String) -> LogRecord {
    LogRecord {
        timestamp: Some(START),
        observed_timestamp: Some(END),
        severity_text: Some("WARN".into()),
        severity_number: Some(13),
        body: Some(body),
        attributes: Some(attributes()),
        event_name: Some("event".into()),
        resource: Some(resource()),
        instrumentation_scope: Some(scope()),
        trace_id: Some(trace_id),
        span_id: Some(span_id),
        trace_flags: Some(TraceFlags::SAMPLED),
    }
}

/// A metric of each kind, over each kind of number.
fn all_metrics() -> ResourceMetrics {
    let numbers = [
        MetricNumber::F64(1.5),
        MetricNumber::U64(u64::MAX),
        MetricNumber::S64(i64::MIN),
    ];
    let mut metrics = Vec::new();
    for number in numbers {
        let data: [(&str, MetricData); 4] = match number {
            MetricNumber::F64(_) => [
                ("f64-gauge", MetricData::F64Gauge(gauge(number))),
                ("f64-sum", MetricData::F64Sum(sum(number))),
                ("f64-histogram", MetricData::F64Histogram(histogram(number))),
                (
                    "f64-exponential",
                    MetricData::F64ExponentialHistogram(exponential(number)),
                ),
            ],
            MetricNumber::U64(_) => [
                ("u64-gauge", MetricData::U64Gauge(gauge(number))),
                ("u64-sum", MetricData::U64Sum(sum(number))),
                ("u64-histogram", MetricData::U64Histogram(histogram(number))),
                (
                    "u64-exponential",
                    MetricData::U64ExponentialHistogram(exponential(number)),
                ),
            ],
            MetricNumber::S64(_) => [
                ("s64-gauge", MetricData::S64Gauge(gauge(number))),
                ("s64-sum", MetricData::S64Sum(sum(number))),
                ("s64-histogram", MetricData::S64Histogram(histogram(number))),
                (
                    "s64-exponential",
                    MetricData::S64ExponentialHistogram(exponential(number)),
                ),
            ],
        };
        metrics.extend(data.into_iter().map(|(name, data)| Metric {
            name: name.into(),
            description: format!("a {name}"),
            unit: "s".into(),
            data,
        }));
    }
    ResourceMetrics {
        resource: resource(),
        scope_metrics: vec![ScopeMetrics {
            scope: scope(),
            metrics,
        }],
    }
}

fn exemplars(value: MetricNumber) -> Vec<Exemplar> {
    vec![Exemplar {
        filtered_attributes: attributes(),
        time: START,
        value,
        span_id: "00f067aa0ba902b7".into(),
        trace_id: "0af7651916cd43dd8448eb211c80319c".into(),
    }]
}

fn gauge(value: MetricNumber) -> Gauge {
    Gauge {
        data_points: vec![GaugeDataPoint {
            attributes: attributes(),
            value,
            exemplars: exemplars(value),
        }],
        start_time: Some(START),
        time: END,
    }
}

fn sum(value: MetricNumber) -> Sum {
    Sum {
        data_points: vec![SumDataPoint {
            attributes: attributes(),
            value,
            exemplars: exemplars(value),
        }],
        start_time: START,
        time: END,
        temporality: Temporality::Cumulative,
        is_monotonic: true,
    }
}

fn histogram(sum: MetricNumber) -> Histogram {
    Histogram {
        data_points: vec![HistogramDataPoint {
            attributes: attributes(),
            count: 3,
            bounds: vec![1.0, 2.0],
            bucket_counts: vec![1, 1, 1],
            min: Some(sum),
            max: Some(sum),
            sum,
            exemplars: exemplars(sum),
        }],
        start_time: START,
        time: END,
        temporality: Temporality::Delta,
    }
}

fn exponential(sum: MetricNumber) -> ExponentialHistogram {
    let bucket = || ExponentialBucket {
        offset: -1,
        counts: vec![1, 2],
    };
    ExponentialHistogram {
        data_points: vec![ExponentialHistogramDataPoint {
            attributes: attributes(),
            count: 3,
            min: None,
            max: None,
            sum,
            scale: -2,
            zero_count: 1,
            positive_bucket: bucket(),
            negative_bucket: bucket(),
            zero_threshold: 0.25,
            exemplars: exemplars(sum),
        }],
        start_time: START,
        time: END,
        temporality: Temporality::LowMemory,
    }
}
