//! What is told of requests: a span for each, and metrics by app, by the semantic conventions of HTTP.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use http::uri::Scheme;
use http::{Method, StatusCode, Version, header};
use opentelemetry::metrics::{Histogram, Meter, UpDownCounter};
use opentelemetry::trace::{SpanBuilder, SpanKind, Status, TraceContextExt as _};
use opentelemetry::{Context, KeyValue};

use super::spin::called;
use super::{APP, COMPONENT, trace};

/// Bounds of the buckets of durations, in seconds: those that the conventions advise.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];
/// What stands for methods that are not known: clients choose them.
const OTHER_METHOD: &str = "_OTHER";
const METHOD: &str = "http.request.method";
const STATUS: &str = "http.response.status_code";

static METRICS: OnceLock<Metrics> = OnceLock::new();

struct Metrics {
    duration: Histogram<f64>,
    active: UpDownCounter<i64>,
}

/// Has requests measured from now on; only the first meter counts.
pub(super) fn measure_with(meter: &Meter) {
    let metrics = Metrics {
        duration: meter
            .f64_histogram("http.server.request.duration")
            .with_unit("s")
            .with_description("From a request's head to the last byte of its response")
            .with_boundaries(SECONDS.into())
            .build(),
        active: meter
            .i64_up_down_counter("http.server.active_requests")
            .with_unit("{request}")
            .with_description("Requests that an app has at the moment")
            .build(),
    };
    // See `trace_with`.
    let _ = METRICS.set(metrics);
}

/// One request from a client, until this is dropped: at the end of its response, or when the client leaves before.
pub(crate) struct RequestTelemetry {
    span: Option<Context>,
    metrics: Option<&'static Metrics>,
    began: Instant,
    method: &'static str,
    scheme: Scheme,
    app: Option<Arc<str>>,
    status: Option<StatusCode>,
}

/// What is told of a request, if somebody wants to know.
pub(crate) fn request<B>(
    request: &http::Request<B>,
    scheme: &Scheme,
    client: Option<SocketAddr>,
) -> Option<Box<RequestTelemetry>> {
    let method = known(request.method());
    let span = trace::start(
        || server_span(request, method, scheme, client),
        || trace::extract(request.headers()),
    );
    let metrics = METRICS.get();
    (span.is_some() || metrics.is_some()).then(|| {
        Box::new(RequestTelemetry {
            span,
            metrics,
            began: Instant::now(),
            method,
            scheme: scheme.clone(),
            app: None,
            status: None,
        })
    })
}

fn server_span<B>(
    request: &http::Request<B>,
    method: &'static str,
    scheme: &Scheme,
    client: Option<SocketAddr>,
) -> SpanBuilder {
    let (uri, headers) = (request.uri(), request.headers());
    let mut attributes = vec![
        KeyValue::new(METHOD, method),
        KeyValue::new("url.scheme", scheme.to_string()),
        KeyValue::new("url.path", uri.path().to_owned()),
        KeyValue::new("network.protocol.version", protocol(request.version())),
    ];
    let mut add =
        |name, value: Option<String>| attributes.extend(value.map(|value| KeyValue::new(name, value)));
    add("url.query", uri.query().map(str::to_owned));
    if method == OTHER_METHOD {
        add("http.request.method_original", Some(request.method().to_string()));
    }
    let text = |name| {
        headers
            .get(name)
            .and_then(|value: &http::HeaderValue| value.to_str().ok())
    };
    add("user_agent.original", text(header::USER_AGENT).map(str::to_owned));
    add(
        "client.address",
        client.map(|client| client.ip().to_canonical().to_string()),
    );
    let authority = uri
        .authority()
        .cloned()
        .or_else(|| text(header::HOST)?.parse().ok());
    if let Some(authority) = authority {
        attributes.push(KeyValue::new("server.address", authority.host().to_owned()));
        attributes.extend(
            authority
                .port_u16()
                .map(|port| KeyValue::new("server.port", i64::from(port))),
        );
    }
    SpanBuilder::from_name(method)
        .with_kind(SpanKind::Server)
        .with_attributes(attributes)
}

/// The component of a route answers the request whose span this is.
pub(crate) fn routed(span: &Context, method: &Method, route: Option<&str>, component: &str) {
    let span = span.span();
    if let Some(route) = route {
        span.update_name(format!("{} {route}", known(method)));
        span.set_attribute(KeyValue::new("http.route", route.to_owned()));
    }
    span.set_attribute(KeyValue::new(COMPONENT, component.to_owned()));
}

impl RequestTelemetry {
    pub(crate) fn span(&self) -> Option<&Context> {
        self.span.as_ref()
    }

    /// This app answers.
    pub(crate) fn served_by(&mut self, app: Arc<str>) {
        if self.app.as_ref() == Some(&app) {
            return;
        }
        self.count(-1);
        self.app = Some(app);
        self.count(1);
    }

    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = Some(status);
    }

    /// Requests that nobody serves are no app's.
    fn count(&self, change: i64) {
        if let (Some(metrics), Some(app)) = (self.metrics, &self.app) {
            let attributes = [
                KeyValue::new(APP, app.clone()),
                KeyValue::new(METHOD, self.method),
            ];
            metrics.active.add(change, &attributes);
        }
    }
}

impl Drop for RequestTelemetry {
    fn drop(&mut self) {
        self.count(-1);
        let mut attributes = Vec::with_capacity(4);
        attributes.extend(self.app.clone().map(|app| KeyValue::new(APP, app)));
        let status = self.status.map(|status| i64::from(status.as_u16()));
        attributes.extend(status.map(|status| KeyValue::new(STATUS, status)));
        if let Some(span) = &self.span {
            let span = span.span();
            span.set_attributes(attributes.iter().cloned());
            match self.status {
                Some(status) if status.is_server_error() => {
                    span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
                    span.set_status(Status::error(""));
                }
                Some(_) => {}
                None => span.set_status(Status::error("the client left before there was an answer")),
            }
            span.end();
        }
        if let Some(metrics) = self.metrics {
            attributes.push(KeyValue::new(METHOD, self.method));
            attributes.push(KeyValue::new("url.scheme", self.scheme.to_string()));
            metrics
                .duration
                .record(self.began.elapsed().as_secs_f64(), &attributes);
        }
    }
}

/// A request that a guest sends: a span of its own, whose number goes with it.
pub(crate) fn outbound<B>(parent: Option<Context>, request: &mut http::Request<B>) -> Option<Outbound> {
    let parent = parent?;
    let method = known(request.method());
    let uri = request.uri().clone();
    let span = || {
        let mut attributes = vec![
            KeyValue::new(METHOD, method),
            // Without the query, which may hold a secret, as an address has no other place for one here.
            KeyValue::new("url.full", without_query(&uri)),
        ];
        attributes.extend(
            uri.host()
                .map(|host| KeyValue::new("server.address", host.to_owned())),
        );
        attributes.extend(
            uri.port_u16()
                .map(|port| KeyValue::new("server.port", i64::from(port))),
        );
        SpanBuilder::from_name(method)
            .with_kind(SpanKind::Client)
            .with_attributes(attributes)
    };
    let span = trace::start(span, || parent)?;
    trace::inject(&span, request.headers_mut());
    Some(Outbound(span))
}

fn without_query(uri: &http::Uri) -> String {
    let text = uri.to_string();
    text.split_once('?')
        .map_or(text.clone(), |(before, _)| before.to_owned())
}

/// It is dropped when the head of the response has come, or an error.
pub(crate) struct Outbound(Context);

impl Outbound {
    /// For what is done on the way, within the process.
    pub(crate) fn span(&self) -> &Context {
        &self.0
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        let span = self.0.span();
        span.set_attribute(KeyValue::new(STATUS, i64::from(status.as_u16())));
        if status.is_client_error() || status.is_server_error() {
            span.set_attribute(KeyValue::new("error.type", status.as_str().to_owned()));
            span.set_status(Status::error(""));
        }
    }

    pub(crate) fn failed(&self, error: String) {
        self.0.span().set_status(Status::error(error));
    }
}

impl Drop for Outbound {
    fn drop(&mut self) {
        self.0.span().end();
    }
}

/// A guest is called without a request: for an event of that kind, or as a command.
pub(crate) fn execution(kind: &'static str, app: &Arc<str>, component: &Arc<str>) -> Option<Context> {
    called(kind, app, component);
    let span = || {
        SpanBuilder::from_name(format!("execute_wasm_component {component}"))
            .with_kind(SpanKind::Internal)
            .with_attributes([
                KeyValue::new(APP, app.clone()),
                KeyValue::new(COMPONENT, component.clone()),
            ])
    };
    trace::start(span, Context::new)
}

fn known(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::DELETE => "DELETE",
        Method::PATCH => "PATCH",
        Method::OPTIONS => "OPTIONS",
        Method::CONNECT => "CONNECT",
        Method::TRACE => "TRACE",
        _ => OTHER_METHOD,
    }
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "1.0",
        Version::HTTP_2 => "2",
        _ => "1.1",
    }
}
