use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::*;
use crate::variables::Secret;

/// What a server was asked: the path's last part, the token's header, the body.
type Asked = (String, Value);

/// A server that answers everything with `answer`, and tells what it was asked.
async fn server(answer: Value) -> (String, mpsc::UnboundedReceiver<Asked>) {
    // A second test that installs it finds it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let (tell, asked) = mpsc::unbounded_channel();
    let handle = move |uri: axum::http::Uri, headers: HeaderMap, Json(body): Json<Value>| async move {
        assert_eq!(headers["authorization"], "bearer t0ken");
        let _ = tell.send((uri.to_string(), body));
        Json(answer)
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/replaced?too", listener.local_addr().unwrap());
    let app = Router::new().fallback(post(handle));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked)
}

fn llm(api: ApiType, url: &str) -> Llm {
    let backends = LlmBackends::default();
    let server = Server::new(&backends, url, &Secret::new("t0ken")).unwrap();
    Llm {
        app: "app".into(),
        models: vec!["m".into()],
        server: Some((api, server)),
        turn: Arc::default(),
    }
}

fn text(error: Error) -> String {
    match error {
        Error::RuntimeError(text) | Error::InvalidInput(text) => text,
        Error::ModelNotSupported => panic!("never said"),
    }
}

#[tokio::test]
async fn the_default_protocol_asks_with_the_default_parameters() {
    let answer = json!({"text": "hi", "usage": {"promptTokenCount": 3, "generatedTokenCount": 9}});
    let (url, mut asked) = server(answer).await;
    let result = llm(ApiType::Default, &url)
        .infer("m".into(), "p".into(), None)
        .await
        .unwrap();
    assert_eq!((&*result.text, result.usage.generated_token_count), ("hi", 9));
    let options = json!({
        "maxTokens": 100, "repeatPenalty": 1.1, "repeatPenaltyLastNTokenCount": 64,
        "temperature": 0.8, "topK": 40, "topP": 0.9,
    });
    let (path, body) = asked.recv().await.unwrap();
    assert_eq!(path, "/infer");
    assert_eq!(body, json!({"model": "m", "prompt": "p", "options": options}));
}

#[tokio::test]
async fn the_default_protocol_embeds() {
    let answer = json!({"embeddings": [[0.5, 1.0], [2.0]], "usage": {"promptTokenCount": 2}});
    let (url, mut asked) = server(answer).await;
    let texts = vec!["a".into(), "b".into()];
    let result = llm(ApiType::Default, &url)
        .generate_embeddings("m".into(), texts)
        .await
        .unwrap();
    assert_eq!(result.embeddings, [vec![0.5, 1.0], vec![2.0]]);
    let asked = asked.recv().await.unwrap();
    assert_eq!(
        asked,
        ("/embed".into(), json!({"model": "m", "input": ["a", "b"]}))
    );
}

#[tokio::test]
async fn the_other_protocol_is_open_ai_s() {
    let answer = json!({
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 9, "total_tokens": 12},
    });
    let (url, mut asked) = server(answer).await;
    let llm = llm(ApiType::OpenAi, &url);
    let result = llm.infer("m".into(), "p".into(), None).await.unwrap();
    assert_eq!((&*result.text, result.usage.prompt_token_count), ("hi", 3));
    let (path, body) = asked.recv().await.unwrap();
    assert_eq!(path, "/v1/chat/completions");
    let messages = json!([{"role": "user", "content": "p"}]);
    assert_eq!(
        body,
        json!({"model": "m", "messages": messages, "max_completion_tokens": 100, "frequency_penalty": 1.1})
    );
}

#[tokio::test]
async fn the_other_protocol_embeds() {
    let data = json!([{"index": 0, "embedding": [0.5]}]);
    let (url, mut asked) = server(json!({"data": data, "usage": {"prompt_tokens": 2}})).await;
    let llm = llm(ApiType::OpenAi, &url);
    let result = llm
        .generate_embeddings("m".into(), vec!["a".into()])
        .await
        .unwrap();
    assert_eq!(
        (result.embeddings, result.usage.prompt_token_count),
        (vec![vec![0.5]], 2)
    );
    assert_eq!(asked.recv().await.unwrap().0, "/v1/embeddings");
}

#[tokio::test]
async fn errors_of_the_server_are_told() {
    let (url, _asked) = server(json!({"error": {"message": "no such model", "type": "x"}})).await;
    let refused = llm(ApiType::OpenAi, &url)
        .infer("m".into(), "p".into(), None)
        .await;
    assert_eq!(text(refused.unwrap_err()), "no such model");
    let refused = llm(ApiType::Default, &url)
        .infer("m".into(), "p".into(), None)
        .await;
    let refused = text(refused.unwrap_err());
    assert!(refused.starts_with("POST /infer got an answer"), "{refused}");
}

#[tokio::test]
async fn a_server_that_is_down_is_an_error_without_its_address() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    // Nobody listens on the port of a socket that is only bound.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let url = format!("http://u:hush@{}", socket.local_addr().unwrap());
    let error = llm(ApiType::Default, &url)
        .infer("m".into(), "p".into(), None)
        .await;
    let error = text(error.unwrap_err());
    assert!(
        error.contains("request error") && error.contains("refused"),
        "{error}"
    );
    assert!(!error.contains("hush"), "{error}");
}

#[tokio::test]
async fn models_are_checked_before_anybody_is_asked() {
    let llm = Llm {
        app: "app".into(),
        models: vec!["m".into()],
        server: None,
        turn: Arc::default(),
    };
    let denied = llm.generate_embeddings("n".into(), vec![]).await.unwrap_err();
    let denied = text(denied);
    assert_eq!(
        denied,
        "The component does not have access to use 'n'. To give the component access, add 'n' to the 'ai_models' \
         key for the component in your spin.toml manifest"
    );
    let none = llm.infer("m".into(), "p".into(), None).await.unwrap_err();
    assert_eq!(text(none), NOT_SUPPORTED);
}

#[tokio::test]
async fn calls_of_one_app_come_one_after_the_other() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    #[derive(Clone, Default)]
    struct Load {
        now: Arc<AtomicUsize>,
        most: Arc<AtomicUsize>,
    }
    async fn handle(State(load): State<Load>) -> Json<Value> {
        let now = load.now.fetch_add(1, Ordering::SeqCst) + 1;
        load.most.fetch_max(now, Ordering::SeqCst);
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        load.now.fetch_sub(1, Ordering::SeqCst);
        Json(json!({"text": "", "usage": {"promptTokenCount": 0, "generatedTokenCount": 0}}))
    }
    let load = Load::default();
    let app = Router::new().fallback(post(handle)).with_state(load.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });

    let llm = llm(ApiType::Default, &url);
    let calls = (0..8).map(|_| llm.infer("m".into(), "p".into(), None));
    for result in futures::future::join_all(calls).await {
        result.unwrap();
    }
    assert_eq!(load.most.load(Ordering::SeqCst), 1);
}
