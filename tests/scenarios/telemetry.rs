//! What guests tell by `wasi:otel` reaches the operator's collector (docs/contract/host-interfaces.md §6.3), and so does what the
//! daemon tells of itself (docs/contract/runtime-config.md §8).

use std::net::SocketAddr;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::any;
use http::Method;

use opentelemetry_proto::tonic::common::v1::any_value::Value::{BytesValue, StringValue};
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value::AsInt;
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::support::client::{empty, request};
use crate::support::doubles::{self, Collected, Collector, Llm};
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

/// Whether a guest tells, and not the daemon.
fn is_guest(resource: &Option<Resource>) -> bool {
    value(&resource.as_ref().expect("a resource").attributes, "app_id").is_some()
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
    let mut traces = sent.traces.iter().flat_map(|batch| &batch.resource_spans);
    let spans = traces.find(|spans| is_guest(&spans.resource)).unwrap();
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

    let mut metrics = sent.metrics.iter().flat_map(|batch| &batch.resource_metrics);
    let metrics = metrics.find(|metrics| is_guest(&metrics.resource)).unwrap();
    assert_eq!(text(&metrics.resource, "app_id"), "shop");
    assert_eq!(metrics.schema_url, "https://example.org/resource");
    assert_eq!(metrics.scope_metrics[0].metrics.len(), 12);

    let mut logs = sent.logs.iter().flat_map(|batch| &batch.resource_logs);
    let records = logs.find(|records| is_guest(&records.resource)).unwrap();
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

const PARENT: &str = "00f067aa0ba902b7";
const STATE: &str = "vendor=state";

/// A server that answers with the trace context that it was sent.
async fn upstream() -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let told = any(async |headers: HeaderMap| {
        let header = |name| headers.get(name).map_or("none", |value| value.to_str().unwrap());
        format!("{} {}", header("traceparent"), header("tracestate"))
    });
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(told)).await });
    address
}

/// A guest that fetches and prints, and one that says what it knows of its span.
fn traced_app() -> App {
    let probe = Component::new("probe", guest("probe")).allow("http://*:*");
    let otel = Component::new("otel7", guest("otel7"));
    let app = App::new("traced").component(probe).component(otel);
    app.route("/fetch", "probe")
        .route("/print", "probe")
        .route("/...", "otel7")
}

/// Asks with a trace context of the client's.
async fn ask(address: SocketAddr, trace: &str, path: &str) -> String {
    let mut asked = request(Method::GET, path, empty());
    let parent = format!("00-{trace}-{PARENT}-01");
    asked.headers_mut().insert("traceparent", parent.parse().unwrap());
    asked.headers_mut().insert("tracestate", STATE.parse().unwrap());
    let reply = Connection::open(address)
        .await
        .unwrap()
        .send(asked)
        .await
        .unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    reply.text().to_owned()
}

/// The daemon's own.
fn spans(sent: &Collected) -> Vec<&Span> {
    let all = sent.traces.iter().flat_map(|batch| &batch.resource_spans);
    let own = all.filter(|spans| text(&spans.resource, "service.name") == "the fleet");
    own.flat_map(|spans| &spans.scope_spans)
        .flat_map(|scope| &scope.spans)
        .collect()
}

fn number(attributes: &[KeyValue], key: &str) -> Option<i64> {
    match value(attributes, key)? {
        any_value::Value::IntValue(number) => Some(*number),
        other => panic!("{key}: {other:?}"),
    }
}

fn word<'a>(attributes: &'a [KeyValue], key: &str) -> Option<&'a str> {
    match value(attributes, key)? {
        StringValue(text) => Some(text),
        other => panic!("{key}: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clients_trace_goes_on_through_the_request_to_who_is_asked_by_the_guest() {
    let (collector, upstream) = (Collector::start().await, upstream().await);
    let mut daemon = Daemon::builder()
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url())
        .env("OTEL_SERVICE_NAME", "the fleet")
        .start()
        .await;
    let layout = Layout::with(&traced_app());
    let address = daemon.serve("shop", &layout.file("v1")).await;
    let told = ask(
        address,
        TRACE,
        &format!("/fetch?url=http://{upstream}/up?secret=1"),
    )
    .await;
    ask(address, TRACE, "/print?text=on-the-way").await;
    assert_eq!(
        get(address, "/fetch?url=http://127.0.0.1:1/")
            .await
            .unwrap()
            .status,
        502
    );
    let mut connection = Connection::open(address).await.unwrap();
    let outer = connection
        .post("/wasi:otel@0.2.0-rc.2", json!(["outer-span-context"]).to_string())
        .await
        .unwrap();
    daemon.stop().await;

    let sent = collector.collected();
    let spans = spans(&sent);
    let of_client: Vec<_> = spans
        .iter()
        .filter(|span| hex::encode(&span.parent_span_id) == PARENT)
        .collect();
    let server = of_client.iter().find(|span| span.name == "GET /fetch").unwrap();
    let print = of_client.iter().find(|span| span.name == "GET /print").unwrap();
    assert_eq!(hex::encode(&server.trace_id), TRACE);
    assert_eq!((server.kind, &*server.trace_state), (2, STATE));
    let attributes = &server.attributes;
    for (name, expected) in [
        ("http.request.method", "GET"),
        ("http.route", "/fetch"),
        ("url.path", "/fetch"),
        ("url.scheme", "http"),
        ("server.address", "127.0.0.1"),
        ("network.protocol.version", "1.1"),
        ("client.address", "127.0.0.1"),
        ("app_id", "shop"),
        ("component_id", "probe"),
    ] {
        assert_eq!(word(attributes, name), Some(expected), "{name}: {attributes:?}");
    }
    assert_eq!(number(attributes, "http.response.status_code"), Some(200));
    assert_eq!(number(attributes, "server.port"), Some(address.port().into()));

    let client = spans
        .iter()
        .find(|span| span.parent_span_id == server.span_id)
        .unwrap();
    assert_eq!(
        (client.kind, hex::encode(&client.trace_id)),
        (3, TRACE.to_owned())
    );
    let url = format!("http://{upstream}/up");
    assert_eq!(word(&client.attributes, "url.full"), Some(&*url));
    let told_upstream = format!("00-{TRACE}-{}-01 {STATE}", hex::encode(&client.span_id));
    assert!(told.contains(&told_upstream), "{told}, not {told_upstream}");

    // A client that says nothing begins a trace; what fails is an error.
    let failed = spans
        .iter()
        .find(|span| number(&span.attributes, "http.response.status_code") == Some(502))
        .unwrap();
    assert!(failed.parent_span_id.is_empty() && hex::encode(&failed.trace_id) != TRACE);
    assert_eq!(failed.status.as_ref().unwrap().code, 2);
    let outer: Value = serde_json::from_str(outer.text().lines().next().unwrap()).unwrap();
    let outer_id = outer["result"]["ok"]["span-id"]
        .as_str()
        .or(outer["result"]["span-id"].as_str());
    let post = spans.iter().find(|span| span.name == "POST /...").unwrap();
    assert_eq!(outer_id, Some(&*hex::encode(&post.span_id)), "{outer}");

    let metrics = sent.metrics.iter().flat_map(|batch| &batch.resource_metrics);
    let metrics: Vec<_> = metrics
        .flat_map(|metrics| &metrics.scope_metrics)
        .flat_map(|scope| &scope.metrics)
        .collect();
    let metric = |name: &str| {
        metrics
            .iter()
            .rfind(|metric| metric.name == name)
            .unwrap()
            .data
            .as_ref()
    };
    let Some(Data::Histogram(durations)) = metric("http.server.request.duration") else {
        panic!("{metrics:?}");
    };
    let fine = durations.data_points.iter().find(|point| {
        word(&point.attributes, "app_id") == Some("shop")
            && word(&point.attributes, "http.request.method") == Some("GET")
            && number(&point.attributes, "http.response.status_code") == Some(200)
    });
    let fine = fine.unwrap();
    assert_eq!((fine.count, fine.explicit_bounds.len()), (2, 14));
    let Some(Data::Sum(active)) = metric("http.server.active_requests") else {
        panic!("{metrics:?}");
    };
    assert_eq!(word(&active.data_points[0].attributes, "app_id"), Some("shop"));
    assert_eq!(active.data_points[0].value, Some(AsInt(0)));

    let logs = sent.logs.iter().flat_map(|batch| &batch.resource_logs);
    let scopes: Vec<_> = logs.flat_map(|logs| &logs.scope_logs).collect();
    let is_printed = |record: &&opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let body = record.body.as_ref().and_then(|body| body.value.as_ref());
        body == Some(&StringValue("on-the-way".into()))
    };
    let guests = scopes
        .iter()
        .filter(|scope| scope.scope.as_ref().unwrap().name == "guest");
    let printed = guests
        .flat_map(|scope| &scope.log_records)
        .find(is_printed)
        .unwrap();
    assert_eq!(word(&printed.attributes, "stream"), Some("stdout"));
    assert_eq!(
        (&printed.trace_id, &printed.span_id),
        (&print.trace_id, &print.span_id)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_spins_hosts_count_has_the_names_that_they_have_for_it() {
    let (collector, llm) = (Collector::start().await, Llm::start().await);
    let mut daemon = Daemon::builder()
        .env(
            "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
            format!("{}/v1/metrics", collector.url()),
        )
        .start()
        .await;
    let apis = Component::new("apis5", guest("apis5")).grant("ai_models", "llama2-chat");
    let probe = Component::new("probe", guest("probe"));
    let shop = App::new("in the artifact").component(apis).component(probe);
    let mut layout = Layout::with(&shop.route("/...", "apis5").route("/version", "probe"));
    let command = Component::new("command", guest("command"));
    let once = App::new("once").component(command);
    layout.add("v2", &once.trigger_of("command", json!({"component": "command"})));
    let mut file = layout.file("v1");
    file["runtime_config"] =
        json!({"llm_compute": {"type": "remote_http", "url": llm.url(), "auth_token": doubles::TOKEN}});
    let address = daemon.serve("shop", &file).await;
    for _ in 0..2 {
        get(address, "/version").await.unwrap();
    }
    let mut connection = Connection::open(address).await.unwrap();
    let asked = json!(["infer", "llama2-chat", "say", null]).to_string();
    let reply = connection.post("/fermyon:spin/llm@2.0.0", asked).await.unwrap();
    assert!(reply.text().contains("llama2-chat say"), "{}", reply.text());
    daemon.write_app("seed", &json!({"reference": layout.reference("v2")}));
    daemon.wait_state("seed", "completed").await;
    daemon.stop().await;

    let sent = collector.collected();
    // What has been counted by then.
    let last = |name: &str| {
        let metrics = sent.metrics.iter().flat_map(|batch| &batch.resource_metrics);
        let mut metrics = metrics.flat_map(|metrics| &metrics.scope_metrics);
        let found = metrics
            .by_ref()
            .flat_map(|scope| &scope.metrics)
            .filter(|metric| metric.name == name);
        found
            .last()
            .unwrap_or_else(|| panic!("{name} in {:?}", sent.metrics))
            .clone()
    };
    let counted = |name: &str| {
        let metric = last(name);
        let Some(Data::Sum(sum)) = metric.data else {
            panic!("{metric:?}");
        };
        assert!(sum.is_monotonic);
        let mut points: Vec<_> = sum
            .data_points
            .iter()
            .map(|point| {
                let mut words: Vec<_> = point
                    .attributes
                    .iter()
                    .map(|attribute| {
                        format!(
                            "{}={}",
                            attribute.key,
                            word(&point.attributes, &attribute.key).unwrap()
                        )
                    })
                    .collect();
                words.sort();
                let Some(AsInt(count)) = point.value else {
                    panic!("{point:?}");
                };
                format!("{} {count}", words.join(" "))
            })
            .collect();
        points.sort();
        points
    };
    assert_eq!(
        counted("spin.request_count"),
        [
            "app_id=seed component_id=command trigger_type=command 1",
            "app_id=shop component_id=apis5 trigger_type=http 1",
            "app_id=shop component_id=probe trigger_type=http 2",
        ]
    );
    assert_eq!(
        counted("spin.llm_infer"),
        ["app_id=shop model_name=llama2-chat 1"]
    );
    let memory = last("spin.component_memory_used");
    let Some(Data::Histogram(used)) = memory.data else {
        panic!("{memory:?}");
    };
    let of = |component: &str| {
        let points = &mut used.data_points.iter();
        points
            .find(|point| word(&point.attributes, "component_id") == Some(component))
            .unwrap()
    };
    // Instances that were only made to see that they can be had are not among them.
    assert_eq!((of("probe").count, of("command").count), (2, 1));
    assert!(
        of("probe").sum.unwrap() >= f64::from(2 * 17 * 65_536),
        "{:?}",
        of("probe")
    );
    assert_eq!(memory.unit, "By");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_one_instance_serves_keep_their_traces_apart() {
    let (collector, upstream) = (Collector::start().await, upstream().await);
    let daemon = Daemon::builder()
        .env(
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
            format!("{}/v1/traces", collector.url()),
        )
        .env("OTEL_TRACES_SAMPLER", "always_off")
        .start()
        .await;
    let probe = Component::new("probe3", guest("probe3")).allow("http://*:*");
    let layout = Layout::with(&App::new("probe3").component(probe).route("/...", "probe3"));
    let address = daemon.serve("app", &layout.file("v1")).await;
    let mut clients = JoinSet::new();
    for number in 1..=40 {
        clients.spawn(async move {
            let trace = format!("{number:032x}");
            let told = ask(address, &trace, &format!("/fetch?url=http://{upstream}/")).await;
            // Not sampled, and known all the same.
            assert!(
                told.contains(&format!("00-{trace}-")) && told.contains("-00 "),
                "{told}"
            );
        });
    }
    for number in 41..=50 {
        clients.spawn(async move {
            // How many the instance has at once: else it would not be known which of them sends something.
            assert_eq!(ask(address, &format!("{number:032x}"), "/now?ms=100").await, "1");
        });
    }
    clients.join_all().await;
    assert!(collector.collected().traces.is_empty());
}

#[tokio::test]
async fn without_a_collector_a_guests_request_has_no_trace() {
    let upstream = upstream().await;
    let (_daemon, _layout, address) = served(&traced_app()).await;
    let told = ask(address, TRACE, &format!("/fetch?url=http://{upstream}/")).await;
    assert!(told.contains("none none"), "{told}");
}
