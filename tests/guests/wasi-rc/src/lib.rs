//! A guest that reaches everything through one of the 2023 release candidates: no standard library underneath, no preview 1.
//! Each reply is a list of `name=value` lines, what was tried and what came of it.

#[cfg(feature = "october")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/wasi-0.2.0-rc-2023-10-18",
        world: "everything",
        generate_all,
    });
}
#[cfg(feature = "november")]
mod bindings {
    wit_bindgen::generate!({
        path: "../../../wit/wasi-0.2.0-rc-2023-11-10",
        world: "everything",
        generate_all,
    });
}

mod files;
#[cfg_attr(feature = "october", path = "http_october.rs")]
#[cfg_attr(feature = "november", path = "http_november.rs")]
mod http;
mod sockets;
mod streams;
mod system;

use bindings::exports::wasi::http::incoming_handler::Guest;
use bindings::wasi::cli::{exit, stderr};
use bindings::wasi::http::types::{IncomingRequest, ResponseOutparam};

pub type Report = Vec<(&'static str, String)>;

struct Component;

impl Guest for Component {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        std::panic::set_hook(Box::new(|info| {
            streams::write_all(&stderr::get_stderr(), info.to_string().as_bytes());
        }));
        let path = request.path_with_query().unwrap_or_default();
        let mut report = Report::new();
        match path.as_str() {
            "/system" => system::try_all(&mut report),
            "/files" => files::try_all(&mut report),
            "/sockets" => sockets::try_all(&header(&request, "x-tcp"), &mut report),
            "/fetch" => return http::fetch(request, out),
            "/fields" => http::fields(&mut report),
            "/refuse" => return http::refuse(out),
            "/exit" => exit::exit(Err(())),
            _ => return http::echo(request, out),
        }
        let text: String = report.iter().map(|(name, value)| format!("{name}={value}\n")).collect();
        http::reply(out, 200, &[], text.as_bytes());
    }
}

pub fn header(request: &IncomingRequest, name: &str) -> String {
    let values = request.headers().get(&name.to_string());
    values.first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
}

bindings::export!(Component with_types_in bindings);
