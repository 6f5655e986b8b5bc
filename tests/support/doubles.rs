//! Doubles of services that no package brings: a language model behind Spin's remote protocol
//! (docs/contract/host-interfaces.md §5.4), and an OTLP collector.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use axum::{Json, Router};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Serves a router on a free port until it is dropped.
struct Served {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Served {
    async fn start(router: Router) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it has an address");
        let task = tokio::spawn(async move {
            axum::serve(listener, router)
                .await
                .expect("it serves until it is dropped");
        });
        Self { address, task }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Says back what it was asked; embeds every text as the same vector.
pub struct Llm(Served);

/// What it wants to be shown.
pub const TOKEN: &str = "the token";

impl Llm {
    pub async fn start() -> Self {
        let router = Router::new()
            .route("/infer", post(infer))
            .route("/embed", post(embed));
        Self(Served::start(router).await)
    }

    pub fn url(&self) -> String {
        self.0.url()
    }
}

fn is_allowed(headers: &HeaderMap) -> bool {
    let given = headers.get("authorization").and_then(|value| value.to_str().ok());
    given
        .and_then(|given| given.split_once(' '))
        .is_some_and(|(scheme, token)| scheme.eq_ignore_ascii_case("bearer") && token == TOKEN)
}

async fn infer(headers: HeaderMap, Json(asked): Json<Value>) -> Result<Json<Value>, StatusCode> {
    if !is_allowed(&headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let options = &asked["options"];
    let names = [
        "maxTokens",
        "repeatPenalty",
        "repeatPenaltyLastNTokenCount",
        "temperature",
        "topK",
        "topP",
    ];
    let mut words = vec![text(&asked["model"]), text(&asked["prompt"])];
    words.extend(names.iter().map(|name| text(&options[*name])));
    let usage = json!({"promptTokenCount": 3, "generatedTokenCount": 9});
    Ok(Json(json!({"text": words.join(" "), "usage": usage})))
}

/// Numbers as the guest gave them: 32 bits of them.
fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number
            .as_f64()
            .map_or_else(String::new, |number| (number as f32).to_string()),
        other => other.to_string(),
    }
}

async fn embed(headers: HeaderMap, Json(asked): Json<Value>) -> Result<Json<Value>, StatusCode> {
    if !is_allowed(&headers) {
        return Err(StatusCode::UNAUTHORIZED);
    }
    let texts = asked["input"].as_array().ok_or(StatusCode::BAD_REQUEST)?;
    let embeddings = vec![json!([0.5, 1.0]); texts.len()];
    Ok(Json(
        json!({"embeddings": embeddings, "usage": {"promptTokenCount": texts.len()}}),
    ))
}

/// Everything that a collector was sent.
#[derive(Debug, Default, Clone)]
pub struct Collected {
    pub traces: Vec<ExportTraceServiceRequest>,
    pub metrics: Vec<ExportMetricsServiceRequest>,
    pub logs: Vec<ExportLogsServiceRequest>,
}

/// A collector of OTLP over HTTP with protobuf.
pub struct Collector {
    served: Served,
    collected: Arc<Mutex<Collected>>,
}

type Shared = State<Arc<Mutex<Collected>>>;

impl Collector {
    pub async fn start() -> Self {
        let collected = Arc::<Mutex<Collected>>::default();
        let router = Router::new()
            .route("/v1/traces", post(traces))
            .route("/v1/metrics", post(metrics))
            .route("/v1/logs", post(logs))
            .with_state(collected.clone());
        Self {
            served: Served::start(router).await,
            collected,
        }
    }

    /// For `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub fn url(&self) -> String {
        self.served.url()
    }

    pub fn collected(&self) -> Collected {
        self.collected.lock().expect("no panic holds it").clone()
    }
}

async fn traces(State(collected): Shared, body: Bytes) -> StatusCode {
    keep(&body, |sent| {
        collected.lock().expect("no panic holds it").traces.push(sent)
    })
}

async fn metrics(State(collected): Shared, body: Bytes) -> StatusCode {
    keep(&body, |sent| {
        collected.lock().expect("no panic holds it").metrics.push(sent)
    })
}

async fn logs(State(collected): Shared, body: Bytes) -> StatusCode {
    keep(&body, |sent| {
        collected.lock().expect("no panic holds it").logs.push(sent)
    })
}

fn keep<T: Message + Default>(body: &[u8], keep: impl FnOnce(T)) -> StatusCode {
    match T::decode(body) {
        Ok(sent) => {
            keep(sent);
            // An empty body is an empty answer: everything was taken.
            StatusCode::OK
        }
        Err(_) => StatusCode::BAD_REQUEST,
    }
}
