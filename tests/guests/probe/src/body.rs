//! Replies and bodies, streamed in pieces as the interfaces have them.

use std::thread;
use std::time::Duration;

use wasip2::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
    Trailers,
};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

/// What one `blocking-write-and-flush` accepts at most.
const CHUNK: usize = 4096;

/// The place for the one response.
pub struct Reply {
    out: ResponseOutparam,
    headers: Fields,
}

impl Reply {
    pub fn new(out: ResponseOutparam) -> Self {
        Self {
            out,
            headers: Fields::new(),
        }
    }

    pub fn with_headers(self, headers: Fields) -> Self {
        Self { headers, ..self }
    }

    /// Sends the head of the response; the body follows.
    pub fn start(self, status: u16, content_type: &str) -> Body {
        // Names and values are valid, and each handle is taken once: none of these can fail.
        let _ = self
            .headers
            .set("content-type", &[content_type.as_bytes().to_vec()]);
        let _ = self.headers.set("x-version", &[crate::version().into_bytes()]);
        let response = OutgoingResponse::new(self.headers);
        response.set_status_code(status).expect("a valid status");
        let body = response.body().expect("the body is taken once");
        ResponseOutparam::set(self.out, Ok(response));
        let stream = body.write().expect("the stream is taken once");
        Body { stream, body }
    }

    pub fn text(self, status: u16, text: &str) {
        self.bytes(status, "text/plain; charset=utf-8", text.as_bytes());
    }

    /// What came of an action on the network.
    pub fn outcome(self, outcome: Result<String, wasip2::sockets::network::ErrorCode>) {
        match outcome {
            Ok(text) => self.text(200, &text),
            Err(code) => self.text(502, code.name()),
        }
    }

    pub fn bytes(self, status: u16, content_type: &str, bytes: &[u8]) {
        let body = self.start(status, content_type);
        if body.write(bytes) {
            body.finish(None);
        }
    }

    pub fn error(self, code: ErrorCode) {
        ResponseOutparam::set(self.out, Err(code));
    }

    /// `n` bytes, of which byte `i` is `i % 251`.
    pub fn generate(self, n: u64) {
        let _ = self.headers.set("content-length", &[n.to_string().into_bytes()]);
        let body = self.start(200, "application/octet-stream");
        let mut sent = 0;
        while sent < n {
            let end = n.min(sent + CHUNK as u64);
            let chunk: Vec<u8> = (sent..end).map(|i| (i % 251) as u8).collect();
            if !body.write(&chunk) {
                return;
            }
            sent = end;
        }
        body.finish(None);
    }

    /// Lines `chunk 0` to `chunk n-1`, each flushed, with a pause before every one but the first.
    pub fn stream(self, n: u64, pause: Duration) {
        let body = self.start(200, "text/plain");
        for i in 0..n {
            if i > 0 {
                thread::sleep(pause);
            }
            if !body.write(format!("chunk {i} of version {}\n", crate::version()).as_bytes()) {
                println!("the client left after {i} chunks");
                return;
            }
        }
        body.finish(None);
    }

    /// The request's body, sent back piece by piece as it comes.
    pub fn pipe(self, request: &IncomingRequest) {
        let incoming = request.consume().expect("the body is taken once");
        let stream = incoming.stream().expect("the stream is taken once");
        let body = self.start(200, "application/octet-stream");
        while let Some(chunk) = read(&stream) {
            if !body.write(&chunk) {
                return;
            }
        }
        body.finish(None);
    }

    /// The request's trailers as text; the response's own trailers say how long its body was.
    pub fn trailers(self, request: &IncomingRequest) {
        let (bytes, trailers) = collect(request);
        // HTTP/1.1 only sends trailers that were announced.
        let _ = self.headers.set("trailer", &[b"x-length".to_vec()]);
        let body = self.start(200, "text/plain");
        let mut text = format!("{} bytes\n", bytes.len());
        for (name, value) in trailers {
            text.push_str(&format!("{name}: {}\n", String::from_utf8_lossy(&value)));
        }
        let answer = Fields::new();
        let _ = answer.set("x-length", &[text.len().to_string().into_bytes()]);
        if body.write(text.as_bytes()) {
            body.finish(Some(answer));
        }
    }
}

/// A response's body, under way.
pub struct Body {
    // Dropped before the body that it belongs to.
    stream: OutputStream,
    body: OutgoingBody,
}

impl Body {
    /// Whether the client still takes it.
    pub fn write(&self, bytes: &[u8]) -> bool {
        bytes
            .chunks(CHUNK)
            .all(|chunk| self.stream.blocking_write_and_flush(chunk).is_ok())
    }

    pub fn finish(self, trailers: Option<Trailers>) {
        drop(self.stream);
        if let Err(error) = OutgoingBody::finish(self.body, trailers) {
            eprintln!("the body can't be finished: {error:?}");
        }
    }
}

/// The next piece, or `None` at the end.
pub fn read(stream: &InputStream) -> Option<Vec<u8>> {
    match stream.blocking_read(CHUNK as u64) {
        Ok(chunk) => Some(chunk),
        Err(StreamError::Closed) => None,
        Err(StreamError::LastOperationFailed(error)) => {
            eprintln!("the body broke off: {}", error.to_debug_string());
            None
        }
    }
}

/// The whole body of a request, and its trailers.
pub fn collect(request: &IncomingRequest) -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let incoming = request.consume().expect("the body is taken once");
    let stream = incoming.stream().expect("the stream is taken once");
    let mut bytes = Vec::new();
    while let Some(chunk) = read(&stream) {
        bytes.extend(chunk);
    }
    drop(stream);
    let trailers = IncomingBody::finish(incoming);
    trailers.subscribe().block();
    let trailers = match trailers.get() {
        Some(Ok(Ok(Some(trailers)))) => trailers.entries(),
        _ => Vec::new(),
    };
    (bytes, trailers)
}
