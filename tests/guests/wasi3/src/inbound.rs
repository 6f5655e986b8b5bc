//! `wasi:http`, requests that come in.

use calls::show;
use serde::Serialize;
use serde_json::{Value, json};
use wit_bindgen::{FutureReader, spawn};

use crate::bindings::wasi::http::types::{ErrorCode, Fields, Request, Response};
use crate::bindings::wit_future;
use crate::{stream, text};

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
pub async fn serve(request: Request) -> Result<Response, ErrorCode> {
    let mut lines = Lines::default();
    lines.add("http/handler#handle", &Value::Null);
    lines.add("http/types#request.get-method", &request.get_method());
    lines.add(
        "http/types#request.get-path-with-query",
        &request.get_path_with_query(),
    );
    lines.add("http/types#request.get-scheme", &request.get_scheme());
    lines.add("http/types#request.get-authority", &request.get_authority());
    lines.add("http/types#request.get-options", &request.get_options().is_some());
    let headers = request.get_headers();
    lines.add(
        "http/types#request.get-headers",
        &headers.get("content-length").len(),
    );
    lines.add("http/types#fields.set", &headers.set("x-more", &[]));
    let (body, ended) = Request::consume_body(request, no_error());
    let bytes = body.collect().await;
    let ended = ended.await.map(|trailers| trailers.map(|it| it.copy_all()));
    lines.add("http/types#request.consume-body", &(!bytes.is_empty(), ended));
    let (response, _sent) = Response::new(Fields::new(), None, no_trailers());
    lines.add("http/types#response.new", &Value::Null);
    lines.add("http/types#response.get-status-code", &response.get_status_code());
    lines.add(
        "http/types#response.set-status-code",
        &response.set_status_code(99),
    );
    lines.add(
        "http/types#response.set-status-code",
        &response.set_status_code(200),
    );
    lines.add(
        "http/types#response.get-headers",
        &response.get_headers().copy_all(),
    );
    reply(200, lines.0)
}

/// The text of a request's body.
pub async fn body(request: Request) -> String {
    let (body, _) = Request::consume_body(request, no_error());
    text(&body.collect().await)
}

pub fn reply(status: u16, text: String) -> Result<Response, ErrorCode> {
    let (response, _sent) = Response::new(Fields::new(), Some(stream(text.into_bytes())), no_trailers());
    let invalid = |()| ErrorCode::InternalError(Some("not a status".into()));
    response.set_status_code(status).map_err(invalid)?;
    Ok(response)
}

/// The ending of a body without trailers.
fn no_trailers() -> FutureReader<Result<Option<Fields>, ErrorCode>> {
    let (writer, reader) = wit_future::new(|| Ok(None));
    spawn(async move { drop(writer.write(Ok(None)).await) });
    reader
}

/// What a reader of a body tells its sender, when all is well.
pub fn no_error() -> FutureReader<Result<(), ErrorCode>> {
    let (writer, reader) = wit_future::new(|| Ok(()));
    spawn(async move { drop(writer.write(Ok(())).await) });
    reader
}
