use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::ResourceSpans;

use super::super::settings::Settings;
use super::super::signal::Traces;
use super::*;

/// Before each message of gRPC: a flag and the length.
const PREFIX: usize = 5;

type Batches = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

/// A collector of gRPC that answers with a status, and keeps what it was sent.
async fn answer(
    request: Request<Incoming>,
    status: u16,
    batches: Batches,
) -> Response<UnsyncBoxBody<Bytes, Infallible>> {
    assert_eq!(
        request.uri().path(),
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
    );
    assert_eq!(request.headers()["api-key"], "hush");
    let message = request.into_body().collect().await.unwrap().to_bytes();
    let batch = prost::Message::decode(message.slice(PREFIX..)).unwrap();
    batches.lock().unwrap().push(batch);
    let response = Response::builder().header("content-type", "application/grpc");
    if status != 0 {
        let response = response
            .header("grpc-status", status)
            .header("grpc-message", "because");
        return response.body(Empty::new().boxed_unsync()).unwrap();
    }
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let body = Full::new(Bytes::from_static(&[0; PREFIX])).with_trailers(async { Some(Ok(trailers)) });
    response.body(body.boxed_unsync()).unwrap()
}

async fn collector(status: u16) -> (Transport, Batches) {
    // A second test that installs it finds it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let batches = Batches::default();
    let kept = batches.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let kept = kept.clone();
            let service = service_fn(move |request| {
                let kept = kept.clone();
                async move { Ok::<_, Infallible>(answer(request, status, kept).await) }
            });
            let connection = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(connection);
        }
    });
    let settings = Settings::read(|name| match name {
        "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(address.clone()),
        "OTEL_EXPORTER_OTLP_PROTOCOL" => Some("grpc".into()),
        "OTEL_EXPORTER_OTLP_HEADERS" => Some("api-key=hush".into()),
        _ => None,
    });
    let transport = Transport::new(settings.unwrap().traces.unwrap()).unwrap();
    (transport, batches)
}

fn batch() -> ExportTraceServiceRequest {
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            schema_url: "s".into(),
            ..ResourceSpans::default()
        }],
    }
}

#[tokio::test]
async fn a_batch_goes_by_grpc() {
    let (transport, batches) = collector(0).await;
    transport.send::<Traces>(&batch()).await.unwrap();
    assert_eq!(*batches.lock().unwrap(), [batch()]);
}

#[tokio::test]
async fn what_a_collector_says_by_grpc_is_understood() {
    let invalid = Code::InvalidArgument as u16;
    let (transport, _) = collector(invalid).await;
    let error = transport.send::<Traces>(&batch()).await.unwrap_err();
    assert!(matches!(error, SendError::Never(_)), "{error:?}");
    assert!(error.to_string().contains("because"), "{error}");
    let unavailable = Code::Unavailable as u16;
    let (transport, _) = collector(unavailable).await;
    let error = transport.send::<Traces>(&batch()).await.unwrap_err();
    assert!(matches!(error, SendError::Later { .. }), "{error:?}");
}

#[tokio::test]
async fn a_collector_that_is_down_is_asked_again_later() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Nobody listens on the port of a socket that is only bound.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = format!("http://u:hush@{}", socket.local_addr().unwrap());
    for protocol in ["grpc", "http/protobuf"] {
        let settings = Settings::read(|name| match name {
            "OTEL_EXPORTER_OTLP_ENDPOINT" => Some(address.clone()),
            "OTEL_EXPORTER_OTLP_PROTOCOL" => Some(protocol.into()),
            _ => None,
        });
        let transport = Transport::new(settings.unwrap().traces.unwrap()).unwrap();
        let error = transport.send::<Traces>(&batch()).await.unwrap_err();
        assert!(matches!(error, SendError::Later { .. }), "{error:?}");
        assert!(!error.to_string().contains("hush"), "{error}");
    }
}
