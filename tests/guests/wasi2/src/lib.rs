//! Every function of WASI 0.2, without the standard library in between. The body is a script (see the crate `calls`) of
//! functions such as `io/poll#pollable.ready`; at `/inbound` it is what those functions said that serve the request.

mod files;
mod http;
mod inbound;
mod io;
mod sockets;
mod system;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};
use calls::{Call, Misunderstood, script};
use serde_json::Value;

mod bindings {
    wit_bindgen::generate!({
        path: "wit",
        world: "guest",
        additional_derives: [serde::Serialize, serde::Deserialize],
        additional_derives_ignore: ["stream-error"],
        generate_all,
    });
}

type Shown = Result<Value, Misunderstood>;

struct Wasi;

bindings::export!(Wasi with_types_in bindings);

impl Guest for Wasi {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        if request.path_with_query().as_deref() == Some("/inbound") {
            return inbound::serve(request, out);
        }
        let body = inbound::body(&request);
        match run(&body) {
            Ok(lines) => inbound::reply(out, 200, &lines),
            Err(error) => inbound::reply(out, 400, &error.to_string()),
        }
    }
}

fn run(body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    let mut resources = Resources::default();
    for mut call in script(body)? {
        let result = resources.call(&mut call)?;
        lines += &call.line(result);
    }
    Ok(lines)
}

/// What a script made: children before what they belong to, which is the order in which they have to go.
#[derive(Default)]
struct Resources {
    io: io::Io,
    files: files::Files,
    sockets: sockets::Sockets,
    http: http::Http,
}

impl Resources {
    fn call(&mut self, call: &mut Call) -> Shown {
        match call.function.split(['/', '#']).next() {
            Some("io") => self.io.call(call),
            Some("filesystem") => self.files.call(call, &mut self.io),
            Some("sockets") => self.sockets.call(call, &mut self.io),
            Some("http") => self.http.call(call, &mut self.io),
            _ => system::call(call, &mut self.io),
        }
    }
}
