//! docs/contract/host-interfaces.md §6.3.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::wait::until;

use super::apps::Apps;
use super::case::{Section, TRAP, call, ok, section};

const WASI: &str = "wasi:otel@0.2.0-rc.2";
const COLLECTOR: &str = "OTLP collector";
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "b7ad6b7169203331";
/// Four kinds over three kinds of numbers.
const METRICS: usize = 12;

pub fn sections() -> Vec<Section> {
    let calls = vec![
        call(
            "outer-span-context",
            json!([]),
            json!({"trace-id": "…", "span-id": "…", "sampled": "…", "is-remote": false, "trace-state": []}),
        ),
        call("on-start", json!([TRACE, SPAN]), json!(null)),
        call(
            "on-end",
            json!([TRACE, SPAN, "", "a span of a guest"]),
            json!(null),
        ),
        call("export", json!([]), ok(())),
        call("on-emit", json!(["\"a guest's line\"", TRACE, SPAN]), json!(null)),
    ];
    let unknown = vec![
        call(
            "on-end",
            json!([TRACE, "00f067aa0ba902b7", "", "never begun"]),
            json!(TRAP),
        )
        .when("it was never started"),
    ];
    vec![
        section(WASI, COLLECTOR, "otel7", WASI, calls),
        section(WASI, COLLECTOR, "otel7", WASI, unknown),
    ]
}

/// Waits until the collector has what the guest handed over.
pub async fn exported(apps: &Apps) {
    until("the collector to have everything", async || {
        let collected = apps.collector.collected();
        let spans = collected
            .traces
            .iter()
            .flat_map(|sent| &sent.resource_spans)
            .flat_map(|sent| &sent.scope_spans)
            .flat_map(|sent| &sent.spans);
        let spans: Vec<_> = spans
            .map(|span| (span.name.as_str(), hex::encode(&span.span_id)))
            .collect();
        let metrics = collected
            .metrics
            .iter()
            .flat_map(|sent| &sent.resource_metrics)
            .flat_map(|sent| &sent.scope_metrics)
            .flat_map(|sent| &sent.metrics);
        let metrics: BTreeSet<_> = metrics.map(|metric| metric.name.as_str()).collect();
        let logs = collected
            .logs
            .iter()
            .flat_map(|sent| &sent.resource_logs)
            .flat_map(|sent| &sent.scope_logs)
            .flat_map(|sent| &sent.log_records);
        let logged = logs
            .filter(|record| record.event_name == "event" && hex::encode(&record.span_id) == SPAN)
            .count();
        let has_span = spans.contains(&("a span of a guest", SPAN.to_owned()));
        if has_span && logged > 0 && metrics.len() == METRICS {
            Ok(())
        } else {
            Err(format!(
                "spans {spans:?}, metrics {metrics:?}, {logged} records of the log"
            ))
        }
    })
    .await;
}
