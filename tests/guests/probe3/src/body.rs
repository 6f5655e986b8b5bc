//! Bodies of 0.3: streams of bytes, and a future for what follows them.

use std::time::Duration;

use spin_sdk::time::sleep;
use spin_sdk::wasip3::http::types::{ErrorCode, Fields, Request, Response, Trailers};
use spin_sdk::wasip3::wit_bindgen::{FutureReader, StreamReader, StreamResult};
use spin_sdk::wasip3::{spawn, wit_future, wit_stream};

type Ending = Result<Option<Trailers>, ErrorCode>;

/// The ending of a body without trailers.
pub fn no_trailers() -> FutureReader<Ending> {
    let (writer, reader) = wit_future::new(|| Ok(None));
    drop(writer);
    reader
}

/// What a reader of a body tells its sender, when all is well.
pub fn no_error() -> FutureReader<Result<(), ErrorCode>> {
    let (writer, reader) = wit_future::new(|| Ok(()));
    drop(writer);
    reader
}

fn respond(
    status: u16,
    content_type: &str,
    body: StreamReader<u8>,
    ending: FutureReader<Ending>,
) -> Result<Response, ErrorCode> {
    respond_with(Fields::new(), status, content_type, body, ending)
}

fn respond_with(
    headers: Fields,
    status: u16,
    content_type: &str,
    body: StreamReader<u8>,
    ending: FutureReader<Ending>,
) -> Result<Response, ErrorCode> {
    // Names and values are valid: neither can fail.
    let _ = headers.set("content-type", &[content_type.as_bytes().to_vec()]);
    let _ = headers.set("x-version", &[crate::version().into_bytes()]);
    let (response, _sent) = Response::new(headers, Some(body), ending);
    let invalid = |()| ErrorCode::InternalError(Some("not a status".into()));
    response.set_status_code(status).map_err(invalid)?;
    Ok(response)
}

pub fn text(status: u16, text: &str) -> Result<Response, ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    let bytes = text.as_bytes().to_vec();
    spawn(async move { drop(writer.write_all(bytes).await) });
    respond(status, "text/plain; charset=utf-8", reader, no_trailers())
}

/// Lines `chunk 0` to `chunk n-1`, with a pause before every one but the first.
pub fn stream(n: u64, pause: Duration) -> Result<Response, ErrorCode> {
    let (mut writer, reader) = wit_stream::new();
    spawn(async move {
        for i in 0..n {
            if i > 0 {
                sleep(pause).await;
            }
            let line = format!("chunk {i} of version {}\n", crate::version()).into_bytes();
            if !writer.write_all(line).await.is_empty() {
                println!("the client left after {i} chunks");
                return;
            }
        }
    });
    respond(200, "text/plain", reader, no_trailers())
}

/// The request's body, sent back piece by piece as it comes.
pub fn pipe(request: Request) -> Result<Response, ErrorCode> {
    let (mut incoming, _trailers) = Request::consume_body(request, no_error());
    let (mut writer, reader) = wit_stream::new();
    spawn(async move {
        loop {
            let (result, chunk) = incoming.read(Vec::with_capacity(4096)).await;
            let ended = !matches!(result, StreamResult::Complete(_));
            if ended || !writer.write_all(chunk).await.is_empty() {
                return;
            }
        }
    });
    respond(200, "application/octet-stream", reader, no_trailers())
}

/// The request's trailers as text; the response's own trailers say how long its body was.
pub async fn trailers(request: Request) -> Result<Response, ErrorCode> {
    let (bytes, trailers) = collect(request).await;
    let mut text = format!("{} bytes\n", bytes.len());
    for (name, value) in trailers {
        text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
    }
    let (mut writer, reader) = wit_stream::new();
    let (ending, ended) = wit_future::new(|| Ok(None));
    // HTTP/1.1 only sends trailers that were announced.
    let announced = Fields::new();
    let _ = announced.set("trailer", &[b"x-length".to_vec()]);
    spawn(async move {
        let answer = Fields::new();
        let _ = answer.set("x-length", &[text.len().to_string().into_bytes()]);
        drop(writer.write_all(text.into_bytes()).await);
        drop(writer);
        let _ = ending.write(Ok(Some(answer))).await;
    });
    respond_with(announced, 200, "text/plain", reader, ended)
}

/// The whole body of a request, and its trailers.
pub async fn collect(request: Request) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let (stream, trailers) = Request::consume_body(request, no_error());
    let bytes = stream.collect().await;
    let trailers = match trailers.await {
        Ok(Some(trailers)) => trailers.copy_all(),
        _ => Vec::new(),
    };
    (bytes, trailers)
}
