//! What guests tell by `wasi:otel` reaches the operator's collector (docs/contract/host-interfaces.md §6.3).

use opentelemetry_proto::tonic::common::v1::any_value::Value::{BytesValue, StringValue};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::resource::v1::Resource;

use crate::support::doubles::Collector;
use crate::support::prelude::*;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "b7ad6b7169203331";

fn value<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a any_value::Value> {
    let found = attributes.iter().find(|attribute| attribute.key == key);
    found?.value.as_ref()?.value.as_ref()
}

fn text(resource: &Option<Resource>, key: &str) -> String {
    match value(&resource.as_ref().expect("a resource").attributes, key) {
        Some(StringValue(text)) => text.clone(),
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_metrics_and_records_reach_the_collector_with_their_source() {
    let collector = Collector::start().await;
    let mut daemon = Daemon::builder()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .start()
        .await;
    let layout = Layout::with(&App::of("otel7", "1"));
    let address = daemon.serve("shop", &layout.file("v1")).await;
    let script: String = [
        json!(["on-start", TRACE, SPAN]),
        json!(["on-end", TRACE, SPAN, "", "a span"]),
        json!(["export"]),
        json!(["on-emit", "\"a line\"", TRACE, SPAN]),
    ]
    .iter()
    .map(|call| format!("{call}\n"))
    .collect();
    let mut connection = Connection::open(address).await.unwrap();
    let reply = connection.post("/wasi:otel@0.2.0-rc.2", script).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    // Its end waits for what was not sent yet.
    daemon.stop().await;

    let sent = collector.collected();
    let spans = &sent.traces[0].resource_spans[0];
    assert_eq!(text(&spans.resource, "service.name"), "shop");
    assert_eq!(text(&spans.resource, "app_id"), "shop");
    assert_eq!(text(&spans.resource, "component_id"), "otel7");
    let span = &spans.scope_spans[0].spans[0];
    assert_eq!((&*span.name, &*span.trace_state), ("a span", "vendor=state"));
    assert_eq!(
        value(&span.attributes, "bytes"),
        Some(&BytesValue(vec![0, 1, 255]))
    );
    assert_eq!((span.events.len(), span.links.len()), (1, 1));

    let metrics = &sent.metrics[0].resource_metrics[0];
    assert_eq!(text(&metrics.resource, "app_id"), "shop");
    assert_eq!(metrics.schema_url, "https://example.org/resource");
    assert_eq!(metrics.scope_metrics[0].metrics.len(), 12);

    let records = &sent.logs[0].resource_logs[0];
    let record = &records.scope_logs[0].log_records[0];
    assert_eq!(text(&records.resource, "text"), "a text");
    assert_eq!((record.severity_number, record.span_id.len()), (13, 8));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_collector_nothing_happens() {
    let (_daemon, _layout, address) = served(&App::of("otel7", "1")).await;
    let script = format!(
        "{}\n{}\n",
        json!(["on-end", TRACE, SPAN, "", "never begun"]),
        json!(["export"])
    );
    let mut connection = Connection::open(address).await.unwrap();
    let reply = connection.post("/wasi:otel@0.2.0-rc.2", script).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert!(reply.text().contains(r#""ok""#), "{}", reply.text());
}
