//! `wasi:http`: its types, and the way out.

mod bodies;
mod fields;
mod messages;
mod october;
mod options;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::http::outgoing_handler::Host as _;
use wasmtime_wasi_http::p2::bindings::http::types::Host as _;
use wasmtime_wasi_http::{WasiHttp, WasiHttpView};

use super::Candidate;
use super::interface::Interface;

type Http<'linker, T> = Interface<'linker, T, WasiHttp>;

pub(super) fn link<T: WasiView + WasiHttpView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut handler = Http::new(linker, candidate, "wasi:http/outgoing-handler", T::http)?;
    match candidate {
        Candidate::October => handler.value("handle", |http, (request, options)| {
            october::handle(http, request, options)
        })?,
        Candidate::November => {
            handler.attempt("handle", |http, (request, options)| http.handle(request, options))?
        }
    }

    let mut types = Http::new(linker, candidate, "wasi:http/types", T::http)?;
    if candidate == Candidate::November {
        types.value("http-error-code", |http, (error,)| http.http_error_code(error))?;
        options::link(&mut types)?;
    }
    fields::link(&mut types, candidate)?;
    messages::link(&mut types, candidate)?;
    bodies::link(&mut types, candidate)
}
