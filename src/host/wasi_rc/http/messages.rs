//! Requests and responses, in both directions.

use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::http::types::{
    HostIncomingRequest, HostIncomingResponse, HostOutgoingRequest, HostOutgoingResponse,
    HostResponseOutparam,
};

use super::{Http, october};
use crate::host::wasi_rc::Candidate;

pub(super) fn link<T: WasiView + 'static>(
    types: &mut Http<'_, T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    incoming_request(types)?;
    incoming_response(types)?;
    types.resource("outgoing-request", |http, this| {
        HostOutgoingRequest::drop(http, this)
    })?;
    types.resource("outgoing-response", |http, this| {
        HostOutgoingResponse::drop(http, this)
    })?;
    types.resource("response-outparam", |http, this| {
        HostResponseOutparam::drop(http, this)
    })?;
    match candidate {
        Candidate::October => october_outgoing(types),
        Candidate::November => {
            outgoing_request(types)?;
            outgoing_response(types)?;
            types.action("[static]response-outparam.set", |http, (this, response)| {
                HostResponseOutparam::set(http, this, response)
            })
        }
    }
}

fn incoming_request<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.resource("incoming-request", |http, this| {
        HostIncomingRequest::drop(http, this)
    })?;
    types.value("[method]incoming-request.method", |http, (this,)| {
        HostIncomingRequest::method(http, this)
    })?;
    types.value("[method]incoming-request.path-with-query", |http, (this,)| {
        HostIncomingRequest::path_with_query(http, this)
    })?;
    types.value("[method]incoming-request.scheme", |http, (this,)| {
        HostIncomingRequest::scheme(http, this)
    })?;
    types.value("[method]incoming-request.authority", |http, (this,)| {
        HostIncomingRequest::authority(http, this)
    })?;
    types.value("[method]incoming-request.headers", |http, (this,)| {
        HostIncomingRequest::headers(http, this)
    })?;
    types.value("[method]incoming-request.consume", |http, (this,)| {
        HostIncomingRequest::consume(http, this)
    })
}

fn incoming_response<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.resource("incoming-response", |http, this| {
        HostIncomingResponse::drop(http, this)
    })?;
    types.value("[method]incoming-response.status", |http, (this,)| {
        HostIncomingResponse::status(http, this)
    })?;
    types.value("[method]incoming-response.headers", |http, (this,)| {
        HostIncomingResponse::headers(http, this)
    })?;
    types.value("[method]incoming-response.consume", |http, (this,)| {
        HostIncomingResponse::consume(http, this)
    })
}

fn outgoing_request<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.value("[constructor]outgoing-request", |http, (headers,)| {
        HostOutgoingRequest::new(http, headers)
    })?;
    types.value("[method]outgoing-request.body", |http, (this,)| {
        HostOutgoingRequest::body(http, this)
    })?;
    types.value("[method]outgoing-request.method", |http, (this,)| {
        HostOutgoingRequest::method(http, this)
    })?;
    types.value("[method]outgoing-request.set-method", |http, (this, method)| {
        HostOutgoingRequest::set_method(http, this, method)
    })?;
    types.value("[method]outgoing-request.path-with-query", |http, (this,)| {
        HostOutgoingRequest::path_with_query(http, this)
    })?;
    types.value(
        "[method]outgoing-request.set-path-with-query",
        |http, (this, path)| HostOutgoingRequest::set_path_with_query(http, this, path),
    )?;
    types.value("[method]outgoing-request.scheme", |http, (this,)| {
        HostOutgoingRequest::scheme(http, this)
    })?;
    types.value("[method]outgoing-request.set-scheme", |http, (this, scheme)| {
        HostOutgoingRequest::set_scheme(http, this, scheme)
    })?;
    types.value("[method]outgoing-request.authority", |http, (this,)| {
        HostOutgoingRequest::authority(http, this)
    })?;
    types.value(
        "[method]outgoing-request.set-authority",
        |http, (this, authority)| HostOutgoingRequest::set_authority(http, this, authority),
    )?;
    types.value("[method]outgoing-request.headers", |http, (this,)| {
        HostOutgoingRequest::headers(http, this)
    })
}

fn outgoing_response<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.value("[constructor]outgoing-response", |http, (headers,)| {
        HostOutgoingResponse::new(http, headers)
    })?;
    types.value("[method]outgoing-response.status-code", |http, (this,)| {
        HostOutgoingResponse::status_code(http, this)
    })?;
    types.value(
        "[method]outgoing-response.set-status-code",
        |http, (this, status)| HostOutgoingResponse::set_status_code(http, this, status),
    )?;
    types.value("[method]outgoing-response.headers", |http, (this,)| {
        HostOutgoingResponse::headers(http, this)
    })?;
    types.value("[method]outgoing-response.body", |http, (this,)| {
        HostOutgoingResponse::body(http, this)
    })
}

fn october_outgoing<T: WasiView + 'static>(types: &mut Http<'_, T>) -> wasmtime::Result<()> {
    types.value(
        "[constructor]outgoing-request",
        |http, (method, path, scheme, authority, headers)| {
            october::new_request(http, method, path, scheme, authority, headers)
        },
    )?;
    types.value("[method]outgoing-request.write", |http, (this,)| {
        HostOutgoingRequest::body(http, this)
    })?;
    types.value("[constructor]outgoing-response", |http, (status, headers)| {
        october::new_response(http, status, headers)
    })?;
    types.value("[method]outgoing-response.write", |http, (this,)| {
        HostOutgoingResponse::body(http, this)
    })?;
    types.action("[static]response-outparam.set", |http, (this, response)| {
        october::set_response(http, this, response)
    })
}
