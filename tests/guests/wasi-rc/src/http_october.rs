//! `wasi:http` of October 2023: records for options, borrowed headers, one `error` for everything.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    Error, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use crate::streams::{read_all, wait, write_all};
use crate::{header, Report};

/// The request again: its parts in headers, its body as the body, its trailers as trailers.
pub fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let method = format!("{:?}", request.method());
    let parts = format!("{:?} {}", request.scheme(), request.authority().unwrap_or_default());
    let (body, trailers) = consume(request.consume().unwrap());
    let headers = Fields::new(&[
        ("x-method".into(), method.into_bytes()),
        ("x-parts".into(), parts.into_bytes()),
        ("connection".into(), b"close".to_vec()),
    ]);
    let response = OutgoingResponse::new(201, &headers);
    let sending = response.write().unwrap();
    ResponseOutparam::set(out, Ok(response));
    write_all(&sending.write().unwrap(), &body);
    OutgoingBody::finish(sending, Some(trailers));
}

pub fn reply(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)], body: &[u8]) {
    let response = OutgoingResponse::new(status, &Fields::new(headers));
    let sending = response.write().unwrap();
    ResponseOutparam::set(out, Ok(response));
    write_all(&sending.write().unwrap(), body);
    OutgoingBody::finish(sending, None);
}

pub fn refuse(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(Error::ProtocolError("no".into())));
}

/// A request to `x-authority` with the body of this one; its reply, or what went wrong.
pub fn fetch(request: IncomingRequest, out: ResponseOutparam) {
    let authority = header(&request, "x-authority");
    let (body, _) = consume(request.consume().unwrap());
    let headers = Fields::new(&[("x-from".into(), b"guest".to_vec()), ("host".into(), b"no".to_vec())]);
    let authority = (!authority.is_empty()).then_some(authority);
    let outgoing = OutgoingRequest::new(
        &Method::Post,
        Some("/there?q"),
        Some(&Scheme::Http),
        authority.as_deref(),
        &headers,
    );
    let options = RequestOptions {
        connect_timeout_ms: Some(250),
        first_byte_timeout_ms: None,
        between_bytes_timeout_ms: Some(500),
    };
    let sending = outgoing.write().unwrap();
    let answer = outgoing_handler::handle(outgoing, Some(options)).and_then(|future| {
        write_all(&sending.write().unwrap(), &body);
        OutgoingBody::finish(sending, None);
        wait(&future.subscribe());
        let answer = future.get().expect("waited for").expect("taken once");
        assert!(future.get().is_some_and(|again| again.is_err()));
        answer
    });
    match answer {
        Ok(response) => reply_with(response, out),
        Err(error) => reply(out, 502, &[], format!("{error:?}").as_bytes()),
    }
}

fn reply_with(response: IncomingResponse, out: ResponseOutparam) {
    let kind = response.headers().get("x-kind").concat();
    let (body, _) = consume(response.consume().unwrap());
    reply(out, response.status(), &[("x-kind".into(), kind)], &body);
}

/// What a table of headers can do, and which of them nobody may set.
pub fn fields(report: &mut Report) {
    let fields = Fields::new(&[("a".into(), b"1".to_vec()), ("upgrade".into(), b"h2c".to_vec())]);
    fields.append("a", b"2");
    fields.set("b", &[b"3".to_vec()]);
    fields.set("host", &[b"example.com".to_vec()]);
    fields.append("connection", b"close");
    let copy = fields.clone();
    fields.delete("a");
    report.push(("copy", show(&copy)));
    report.push(("left", show(&fields)));
    report.push(("get", format!("{:?}", copy.get("a"))));
}

fn show(fields: &Fields) -> String {
    let entries = fields.entries();
    let pair = |(name, value): &(String, Vec<u8>)| format!("{name}:{}", String::from_utf8_lossy(value));
    entries.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn consume(body: IncomingBody) -> (Vec<u8>, Fields) {
    let bytes = read_all(body.stream().unwrap());
    let trailers = IncomingBody::finish(body);
    wait(&trailers.subscribe());
    let fields = trailers.get().expect("waited for").expect("trailers, or none");
    let copy = fields.clone();
    (bytes, copy)
}
