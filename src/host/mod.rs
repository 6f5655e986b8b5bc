//! One module for each host interface: what it takes from the app, what it keeps for an instance, how it is linked.

mod http;
mod permission;
pub mod wasi_rc;

pub use http::OutboundHttp;
pub use permission::{OutboundPermission, PermissionError};

use wasmtime::component::Linker;

use crate::runtime::HostState;

/// Defines every interface that this host has, once for the process.
pub fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    wasi_rc::add_to_linker(linker)
}
