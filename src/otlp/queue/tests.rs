use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};

use super::super::settings::Settings;
use super::super::signal::Traces;
use super::*;

/// A collector that answers with these statuses, then with success, and keeps what it accepted.
#[derive(Clone, Default)]
struct Collector {
    answers: Arc<Mutex<VecDeque<StatusCode>>>,
    accepted: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
}

async fn take(
    State(collector): State<Collector>,
    headers: http::HeaderMap,
    body: Bytes,
) -> impl IntoResponse {
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["api-key"], "hush");
    if let Some(status) = collector.answers.lock().unwrap().pop_front() {
        return (status, [("retry-after", "0")]).into_response();
    }
    let batch = ExportTraceServiceRequest::decode(body).unwrap();
    collector.accepted.lock().unwrap().push(batch);
    StatusCode::OK.into_response()
}

impl Collector {
    async fn start(answers: &[StatusCode]) -> (Self, Queue<Traces>) {
        // A second test that installs it finds it there.
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let collector = Self::default();
        collector.answers.lock().unwrap().extend(answers);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let app = Router::new()
            .route("/v1/traces", post(take))
            .with_state(collector.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let settings = Settings::read(|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(address.clone()),
            "OTEL_EXPORTER_OTLP_HEADERS" => Some("api-key=hush".into()),
            _ => None,
        });
        let transport = Transport::new(settings.unwrap().traces.unwrap()).unwrap();
        (collector, Queue::start(transport))
    }

    fn accepted(&self) -> Vec<ExportTraceServiceRequest> {
        self.accepted.lock().unwrap().clone()
    }
}

fn span(name: &str) -> ResourceSpans {
    let span = Span {
        name: name.into(),
        ..Span::default()
    };
    ResourceSpans {
        scope_spans: vec![ScopeSpans {
            spans: vec![span],
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    }
}

fn budget(bytes: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(bytes))
}

#[tokio::test]
async fn spans_of_one_source_go_together() {
    let (collector, queue) = Collector::start(&[]).await;
    let budget = budget(10_000);
    for name in ["a", "b"] {
        queue.push(span(name), &budget).unwrap();
    }
    queue.flush().await;
    let accepted = collector.accepted();
    assert_eq!(accepted.len(), 1);
    let spans = &accepted[0].resource_spans[0].scope_spans[0].spans;
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    assert_eq!(names, ["a", "b"]);
    assert_eq!(budget.available_permits(), 10_000);
}

#[tokio::test]
async fn a_collector_that_is_busy_is_asked_again() {
    let (collector, queue) = Collector::start(&[StatusCode::SERVICE_UNAVAILABLE; 2]).await;
    queue.push(span("a"), &budget(10_000)).unwrap();
    queue.flush().await;
    assert_eq!(collector.accepted().len(), 1);
}

#[tokio::test]
async fn what_a_collector_refuses_is_given_up() {
    let (collector, queue) = Collector::start(&[StatusCode::BAD_REQUEST]).await;
    let budget = budget(10_000);
    queue.push(span("a"), &budget).unwrap();
    queue.flush().await;
    assert_eq!(collector.accepted(), []);
    assert_eq!(budget.available_permits(), 10_000);
}

#[tokio::test]
async fn what_does_not_fit_is_dropped_and_the_rest_is_sent() {
    let (collector, queue) = Collector::start(&[]).await;
    let (small, large) = (budget(OVERHEAD + 10), budget(10_000));
    queue.push(span("a"), &small).unwrap();
    assert_eq!(queue.push(span("b"), &small), Err(Full));
    queue.push(span("c"), &large).unwrap();
    queue.flush().await;
    let accepted = collector.accepted();
    assert_eq!(accepted[0].resource_spans[0].scope_spans[0].spans.len(), 2);
    assert_eq!(small.available_permits(), OVERHEAD + 10);
}
