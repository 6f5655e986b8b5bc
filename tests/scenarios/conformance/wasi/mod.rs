//! WASI itself, 0.2 and 0.3: guests that call every function of its packages, without a standard library in between.

mod files;
mod http;
mod inbound;
pub mod peer;
mod sockets;
mod system;

use std::net::SocketAddr;

use crate::support::peer::Echo;
use crate::support::prelude::*;

use super::apps::{Apps, NOWHERE};
use super::case::{Call, Section};

pub use inbound::trailers_and_continue;

/// The guests: by what their app is called, and the version whose functions each calls. `*` is what the calls name before
/// their `#`.
const TWO: (&str, &str) = ("wasi2", "wasi:*@0.2.12");
const THREE: (&str, &str) = ("wasi3", "wasi:*@0.3.0");

/// The file that the guests see.
const FILE: &str = "data/hello.txt";
const CONTENT: &str = "from a file";

pub fn sections(apps: &Apps) -> Vec<Section> {
    let mut sections = system::sections();
    sections.extend(files::sections());
    sections.extend(sockets::sections(apps));
    sections.extend(http::sections(apps));
    sections.extend(inbound::sections());
    sections
}

fn section(
    (app, interface): (&'static str, &'static str),
    backend: &'static str,
    calls: Vec<Call>,
) -> Section {
    super::case::section(interface, backend, app, "", calls)
}

/// The guest with a file, a variable of its environment, and the addresses that it may reach.
pub fn app(name: &str, target: SocketAddr, peer: SocketAddr, echo: &Echo) -> App {
    let mut component = Component::new(name, guest(name))
        .file(FILE, CONTENT)
        .env("GREETING", "good day");
    for entry in [
        format!("http://{target}"),
        format!("http://{peer}"),
        format!("http://{NOWHERE}"),
        format!("tcp://{NOWHERE}"),
        format!("tcp://localhost:{}", echo.tcp.port()),
        format!("tcp://{}", echo.tcp),
        format!("udp://{}", echo.udp),
        "udp://0.0.0.0:0".into(),
    ] {
        component = component.allow(&entry);
    }
    App::new(name).component(component).route("/...", name)
}
