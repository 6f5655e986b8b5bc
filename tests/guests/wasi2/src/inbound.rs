//! `wasi:http`, requests that come in.

use calls::show;
use serde::Serialize;
use serde_json::{Value, json};

use crate::bindings::wasi::http::types::{
    Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream};

/// What one `blocking-write-and-flush` accepts at most.
const CHUNK: usize = 4096;

/// The lines of the answer.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add<T: Serialize + ?Sized>(&mut self, function: &str, result: &T) {
        let line = json!({"function": function, "result": show(result)});
        self.0 += &format!("{line}\n");
    }
}

/// Answers with what each function said that serves this request.
pub fn serve(request: IncomingRequest, out: ResponseOutparam) {
    let mut lines = Lines::default();
    lines.add("http/incoming-handler#handle", &Value::Null);
    lines.add("http/types#incoming-request.method", &request.method());
    lines.add(
        "http/types#incoming-request.path-with-query",
        &request.path_with_query(),
    );
    lines.add("http/types#incoming-request.scheme", &request.scheme());
    lines.add("http/types#incoming-request.authority", &request.authority());
    let headers = request.headers();
    lines.add(
        "http/types#incoming-request.headers",
        &headers.get("content-length").len(),
    );
    lines.add("http/types#fields.set", &headers.set("x-more", &[]));
    let incoming = request.consume();
    lines.add(
        "http/types#incoming-request.consume",
        &incoming.as_ref().map(|_| ()),
    );
    lines.add(
        "http/types#incoming-request.consume",
        &request.consume().map(|_| ()),
    );
    let Ok(incoming) = incoming else { return };
    let stream = incoming.stream();
    lines.add("http/types#incoming-body.stream", &stream.as_ref().map(|_| ()));
    lines.add("http/types#incoming-body.stream", &incoming.stream().map(|_| ()));
    let Ok(stream) = stream else { return };
    let body = read(&stream);
    drop(stream);
    lines.add("io/streams#input-stream.blocking-read", &!body.is_empty());
    let trailers = IncomingBody::finish(incoming);
    lines.add("http/types#incoming-body.finish", &Value::Null);
    trailers.subscribe().block();
    lines.add("http/types#future-trailers.subscribe", &Value::Null);
    let got = trailers.get();
    let got = got.map(|taken| taken.map(|got| got.map(|trailers| trailers.map(|it| it.entries()))));
    lines.add("http/types#future-trailers.get", &got);
    lines.add(
        "http/types#future-trailers.get",
        &trailers.get().map(|taken| taken.map(|_| ())),
    );

    let response = OutgoingResponse::new(Fields::new());
    lines.add("http/types#outgoing-response.new", &Value::Null);
    lines.add(
        "http/types#outgoing-response.status-code",
        &response.status_code(),
    );
    lines.add(
        "http/types#outgoing-response.set-status-code",
        &response.set_status_code(99),
    );
    lines.add(
        "http/types#outgoing-response.set-status-code",
        &response.set_status_code(200),
    );
    lines.add(
        "http/types#outgoing-response.headers",
        &response.headers().entries(),
    );
    let body = response.body();
    lines.add("http/types#outgoing-response.body", &body.as_ref().map(|_| ()));
    lines.add("http/types#outgoing-response.body", &response.body().map(|_| ()));
    let Ok(body) = body else { return };
    let stream = body.write();
    lines.add("http/types#outgoing-body.write", &stream.as_ref().map(|_| ()));
    lines.add("http/types#outgoing-body.write", &body.write().map(|_| ()));
    let Ok(stream) = stream else { return };
    ResponseOutparam::set(out, Ok(response));
    lines.add("http/types#response-outparam.set", &Value::Null);
    // The answer would break off if it failed.
    lines.add("http/types#outgoing-body.finish", &Ok::<(), ()>(()));
    write(&stream, &lines.0);
    drop(stream);
    if let Err(error) = OutgoingBody::finish(body, None) {
        panic!("{error:?}");
    }
}

/// The text of a request's body.
pub fn body(request: &IncomingRequest) -> String {
    let body = request.consume().expect("the body is taken once");
    let stream = body.stream().expect("the stream is taken once");
    read(&stream)
}

pub fn reply(out: ResponseOutparam, status: u16, text: &str) {
    let response = OutgoingResponse::new(Fields::new());
    response.set_status_code(status).expect("a valid status");
    let body = response.body().expect("the body is taken once");
    let stream = body.write().expect("the stream is taken once");
    ResponseOutparam::set(out, Ok(response));
    write(&stream, text);
    drop(stream);
    OutgoingBody::finish(body, None).expect("the body was sent");
}

fn read(stream: &InputStream) -> String {
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(CHUNK as u64) {
        bytes.extend(chunk);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write(stream: &OutputStream, text: &str) {
    for chunk in text.as_bytes().chunks(CHUNK) {
        if stream.blocking_write_and_flush(chunk).is_err() {
            return;
        }
    }
}
