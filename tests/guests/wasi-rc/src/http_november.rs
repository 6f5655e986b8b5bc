//! `wasi:http` of November 2023: nearly what became 0.2.0.

use crate::bindings::wasi::http::outgoing_handler;
use crate::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingBody, IncomingRequest, IncomingResponse, Method,
    OutgoingBody, OutgoingRequest, OutgoingResponse, RequestOptions, ResponseOutparam, Scheme,
};
use crate::streams::{read_all, wait, write_all};
use crate::{header, Report};

/// The request again: its parts in headers, its body as the body, its trailers as trailers.
pub fn echo(request: IncomingRequest, out: ResponseOutparam) {
    let method = format!("{:?}", request.method());
    let parts = format!("{:?} {}", request.scheme(), request.authority().unwrap_or_default());
    let (body, trailers) = consume(request.consume().unwrap());
    let headers = Fields::from_list(&[
        ("x-method".into(), method.into_bytes()),
        ("x-parts".into(), parts.into_bytes()),
    ]);
    let response = OutgoingResponse::new(headers.unwrap());
    response.set_status_code(201).unwrap();
    assert_eq!((response.status_code(), response.headers().entries().len()), (201, 2));
    let sending = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    write_all(&sending.write().unwrap(), &body);
    OutgoingBody::finish(sending, trailers).unwrap();
}

pub fn reply(out: ResponseOutparam, status: u16, headers: &[(String, Vec<u8>)], body: &[u8]) {
    let response = OutgoingResponse::new(Fields::from_list(headers).unwrap());
    response.set_status_code(status).unwrap();
    let sending = response.body().unwrap();
    ResponseOutparam::set(out, Ok(response));
    write_all(&sending.write().unwrap(), body);
    OutgoingBody::finish(sending, None).unwrap();
}

pub fn refuse(out: ResponseOutparam) {
    ResponseOutparam::set(out, Err(ErrorCode::LoopDetected));
}

/// A request to `x-authority` with the body of this one; its reply, or what went wrong.
pub fn fetch(request: IncomingRequest, out: ResponseOutparam) {
    let authority = header(&request, "x-authority");
    let (body, _) = consume(request.consume().unwrap());
    let headers = Fields::from_list(&[("x-from".into(), b"guest".to_vec())]).unwrap();
    let outgoing = OutgoingRequest::new(headers);
    outgoing.set_method(&Method::Post).unwrap();
    outgoing.set_path_with_query(Some("/there?q")).unwrap();
    outgoing.set_scheme(Some(&Scheme::Http)).unwrap();
    outgoing.set_authority((!authority.is_empty()).then_some(&authority)).unwrap();
    assert!(matches!(outgoing.method(), Method::Post) && outgoing.headers().entries().len() == 1);
    let parts = (outgoing.path_with_query(), outgoing.scheme().is_some());
    assert_eq!(parts, (Some("/there?q".into()), true));
    let options = RequestOptions::new();
    options.set_connect_timeout_ms(Some(250_000_000)).unwrap();
    options.set_first_byte_timeout_ms(None).unwrap();
    options.set_between_bytes_timeout_ms(Some(500_000_000)).unwrap();
    assert_eq!(options.connect_timeout_ms(), Some(250_000_000));
    assert_eq!(options.first_byte_timeout_ms(), None);
    assert_eq!(options.between_bytes_timeout_ms(), Some(500_000_000));
    let sending = outgoing.body().unwrap();
    let answer = outgoing_handler::handle(outgoing, Some(options)).and_then(|future| {
        write_all(&sending.write().unwrap(), &body);
        OutgoingBody::finish(sending, None).unwrap();
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
    let kind = response.headers().get(&"x-kind".to_string()).concat();
    let (body, _) = consume(response.consume().unwrap());
    reply(out, response.status(), &[("x-kind".into(), kind)], &body);
}

/// What a table of headers can do, and which of them nobody may set.
pub fn fields(report: &mut Report) {
    let name = |name: &str| name.to_string();
    let fields = Fields::new();
    fields.append(&name("a"), &b"1".to_vec()).unwrap();
    fields.append(&name("a"), &b"2".to_vec()).unwrap();
    fields.set(&name("b"), &[b"3".to_vec()]).unwrap();
    let host = fields.set(&name("host"), &[b"example.com".to_vec()]);
    let syntax = fields.append(&name("b\n"), &b"4".to_vec());
    report.push(("errors", format!("{host:?} {syntax:?}")));
    let copy = fields.clone();
    fields.delete(&name("a")).unwrap();
    report.push(("copy", show(&copy)));
    report.push(("left", show(&fields)));
    report.push(("get", format!("{:?}", copy.get(&name("a")))));
    let list = Fields::from_list(&[("upgrade".into(), b"h2c".to_vec())]).map(|_| ());
    report.push(("list", format!("{list:?}")));
}

fn show(fields: &Fields) -> String {
    let entries = fields.entries();
    let pair = |(name, value): &(String, Vec<u8>)| format!("{name}:{}", String::from_utf8_lossy(value));
    entries.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn consume(body: IncomingBody) -> (Vec<u8>, Option<Fields>) {
    let bytes = read_all(body.stream().unwrap());
    let trailers = IncomingBody::finish(body);
    wait(&trailers.subscribe());
    let fields = trailers.get().expect("waited for").expect("trailers, or none");
    let copy = fields.map(|fields| fields.clone());
    (bytes, copy)
}
