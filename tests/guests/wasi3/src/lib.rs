//! Every function of WASI 0.3, without the standard library in between: what `wasi2` is for 0.2.

mod files;
mod http;
mod inbound;
mod sockets;
mod system;

use bindings::exports::wasi::http::handler::Guest;
use bindings::wasi::http::types::{ErrorCode, Request, Response};
use bindings::wit_stream;
use calls::{Call, Misunderstood, script};
use serde_json::Value;
use wit_bindgen::{StreamReader, spawn};

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        additional_derives: [serde::Serialize, serde::Deserialize],
        generate_all,
    });
}

type Shown = Result<Value, Misunderstood>;

struct Wasi;

bindings::export!(Wasi with_types_in bindings);

impl Guest for Wasi {
    async fn handle(request: Request) -> Result<Response, ErrorCode> {
        if request.get_path_with_query().as_deref() == Some("/inbound") {
            return inbound::serve(request).await;
        }
        let body = inbound::body(request).await;
        match run(&body).await {
            Ok(lines) => inbound::reply(200, lines),
            Err(error) => inbound::reply(400, error.to_string()),
        }
    }
}

async fn run(body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    let mut resources = Resources::default();
    for mut call in script(body)? {
        let result = resources.call(&mut call).await?;
        lines += &call.line(result);
    }
    Ok(lines)
}

/// What a script made.
#[derive(Default)]
struct Resources {
    files: files::Files,
    sockets: sockets::Sockets,
    http: http::Http,
}

impl Resources {
    async fn call(&mut self, call: &mut Call) -> Shown {
        match call.function.split(['/', '#']).next() {
            Some("filesystem") => self.files.call(call).await,
            Some("sockets") => self.sockets.call(call).await,
            Some("http") => self.http.call(call).await,
            _ => system::call(call).await,
        }
    }
}

/// Bytes as a stream that ends after them.
fn stream(bytes: Vec<u8>) -> StreamReader<u8> {
    let (mut writer, reader) = wit_stream::new();
    spawn(async move { drop(writer.write_all(bytes).await) });
    reader
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
