//! `fields`: headers and trailers.

use wasmtime::component::Resource;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::http::types::{HeaderError as Reason, HostFields};
use wasmtime_wasi_http::p2::{HeaderError, HeaderResult};
use wasmtime_wasi_http::{FieldMap, WasiHttpCtxView};

use super::Http;
use crate::host::wasi_rc::Candidate;

pub(super) fn link<T: WasiView + 'static>(
    types: &mut Http<'_, T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    types.resource("fields", |http, this| HostFields::drop(http, this))?;
    types.value("[method]fields.get", |http, (this, name)| {
        HostFields::get(http, this, name)
    })?;
    types.value("[method]fields.entries", |http, (this,)| {
        HostFields::entries(http, this)
    })?;
    types.value("[method]fields.clone", |http, (this,)| {
        HostFields::clone(http, this)
    })?;
    match candidate {
        Candidate::October => october(types),
        Candidate::November => november(types),
    }
}

fn november<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.value("[constructor]fields", |http, ()| HostFields::new(http))?;
    types.attempt("[static]fields.from-list", |http, (entries,)| {
        HostFields::from_list(http, entries)
    })?;
    types.attempt("[method]fields.set", |http, (this, name, values)| {
        HostFields::set(http, this, name, values)
    })?;
    types.attempt("[method]fields.delete", |http, (this, name)| {
        HostFields::delete(http, this, name)
    })?;
    types.attempt("[method]fields.append", |http, (this, name, value)| {
        HostFields::append(http, this, name, value)
    })
}

fn october<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.value("[constructor]fields", |http, (entries,)| from_list(http, entries))?;
    types.action("[method]fields.set", |http, (this, name, values)| {
        tolerate(HostFields::set(http, this, name, values))
    })?;
    types.action("[method]fields.delete", |http, (this, name)| {
        tolerate(HostFields::delete(http, this, name))
    })?;
    types.action("[method]fields.append", |http, (this, name, value)| {
        tolerate(HostFields::append(http, this, name, value))
    })
}

fn from_list(
    http: &mut WasiHttpCtxView<'_>,
    entries: Vec<(String, Vec<u8>)>,
) -> wasmtime::Result<Resource<FieldMap>> {
    let fields = HostFields::new(http)?;
    for (name, value) in entries {
        tolerate(HostFields::append(
            http,
            Resource::new_borrow(fields.rep()),
            name,
            value,
        ))?;
    }
    Ok(fields)
}

/// October could not refuse a header. Guests of that time set `host` or `connection` and were heard; today's host decides
/// about those itself, and leaves the guest's out as if they had not been set. Anything else that is wrong traps.
fn tolerate(outcome: HeaderResult<()>) -> wasmtime::Result<()> {
    match outcome.map_err(HeaderError::downcast) {
        Ok(()) | Err(Ok(Reason::Forbidden)) => Ok(()),
        Err(reason) => Err(reason?.into()),
    }
}
