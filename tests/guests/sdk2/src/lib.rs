//! An app of the Spin 2.0 days: its HTTP is `wasi:http@0.2.0-rc-2023-10-18`, its stores are `fermyon:spin@2.0.0`, the rest of
//! the system is reached through the standard library and the preview 1 adapter. The first path segment selects what is tried;
//! those that other languages' guests have too are in `asks.rs`.

mod asks;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::{Duration, Instant, SystemTime};

use futures::SinkExt;
use spin_sdk::http::{
    Headers, IncomingRequest, Method, OutgoingResponse, Request, Response, ResponseOutparam,
};
use spin_sdk::http_component;

const FILE: &str = "/data/hello.txt";
const EARLIEST: Duration = Duration::from_secs(1_600_000_000);

#[http_component]
async fn handle(request: IncomingRequest, out: ResponseOutparam) {
    let target = request.path_with_query().unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut segments = path.split('/').skip(1);
    let action = segments.next().unwrap_or_default();
    let name = segments.next().unwrap_or_default();
    match action {
        "kv" => answer(out, asks::count(name)).await,
        "sql" => answer(out, asks::notes(query)).await,
        "var" => answer(out, asks::variable(name)).await,
        "redis" => answer(out, asks::count_there(name, query)).await,
        "fetch" if !query.is_empty() => answer(out, asks::fetch(query).await).await,
        "report" => report(request, out).await,
        "stream" => stream(out).await,
        "fetch" => fetch(request, out).await,
        "silent" => {}
        "panic" => panic!("asked to"),
        _ => reply(out, 404, b"no such thing\n".to_vec()).await,
    }
}

/// One line for each thing that the host has to provide.
async fn report(request: IncomingRequest, out: ResponseOutparam) {
    let method = request.method().to_string();
    let path = request.path_with_query().unwrap_or_default();
    let authority = request.authority().unwrap_or_default();
    let greeting = header(&request, "x-greeting");
    let body = request.into_body().await.expect("the request's body");
    let begun = Instant::now();
    std::thread::sleep(Duration::from_millis(5));
    let slept = begun.elapsed() >= Duration::from_millis(5);
    let late = SystemTime::UNIX_EPOCH.elapsed().is_ok_and(|now| now > EARLIEST);
    let differs = RandomState::new().build_hasher().finish() != 0;
    let lines = [
        ("method", method),
        ("path", path),
        ("authority", authority),
        ("x-greeting", greeting),
        ("body", String::from_utf8_lossy(&body).to_uppercase()),
        ("env", std::env::var("GREETING").unwrap_or_default()),
        (
            "file",
            std::fs::read_to_string(FILE).unwrap_or_else(|e| e.to_string()),
        ),
        ("write", std::fs::write(FILE, "changed").is_err().to_string()),
        ("clocks", (slept && late).to_string()),
        ("random", differs.to_string()),
    ];
    println!("reporting");
    let text: String = lines
        .iter()
        .map(|(name, value)| format!("{name}={value}\n"))
        .collect();
    reply(out, 200, text.into_bytes()).await;
}

/// The reply's head first, then its body piece by piece.
async fn stream(out: ResponseOutparam) {
    let response = OutgoingResponse::new(200, &Headers::new(&[("x-kind".into(), b"stream".to_vec())]));
    let mut body = response.take_body();
    out.set(response);
    for number in 0..5 {
        body.send(format!("piece {number}\n").into_bytes())
            .await
            .expect("the reply's body");
    }
}

/// A request to the address in the `x-url` header, with this request's body.
async fn fetch(request: IncomingRequest, out: ResponseOutparam) {
    let url = header(&request, "x-url");
    let body = request.into_body().await.expect("the request's body");
    let outgoing = Request::builder()
        .method(Method::Put)
        .uri(url)
        .header("host", "ignored.example")
        .header("x-from", "guest")
        .body(body)
        .build();
    match spin_sdk::http::send::<_, Response>(outgoing).await {
        Ok(response) => {
            let status = *response.status();
            let text = format!("{status} {}", String::from_utf8_lossy(response.body()));
            reply(out, 200, text.into_bytes()).await
        }
        Err(error) => reply(out, 502, format!("{error:?}").into_bytes()).await,
    }
}

fn header(request: &IncomingRequest, name: &str) -> String {
    let values = request.headers().get(name);
    values
        .first()
        .map(|value| String::from_utf8_lossy(value).into_owned())
        .unwrap_or_default()
}

async fn answer(out: ResponseOutparam, answer: anyhow::Result<String>) {
    let text = answer.unwrap_or_else(|error| format!("error {error}"));
    reply(out, 200, format!("{text}\n").into_bytes()).await;
}

async fn reply(out: ResponseOutparam, status: u16, body: Vec<u8>) {
    let headers = Headers::new(&[("content-type".into(), b"text/plain".to_vec())]);
    let sent = out
        .set_with_body(OutgoingResponse::new(status, &headers), body)
        .await;
    sent.expect("the reply's body");
}
