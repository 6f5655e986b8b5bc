//! Bodies, their trailers, and the response that is still to come.

use wasmtime::component::Resource;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpCtxView;
use wasmtime_wasi_http::p2::bindings::http::types::{
    ErrorCode, FutureTrailers, HostFields, HostFutureIncomingResponse, HostFutureTrailers, HostIncomingBody,
    HostOutgoingBody, Trailers,
};

use super::{Http, october};
use crate::host::wasi_rc::Candidate;

pub(super) fn link<T: WasiView + 'static>(
    types: &mut Http<'_, T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    types.resource("incoming-body", |http, this| HostIncomingBody::drop(http, this))?;
    types.value("[method]incoming-body.stream", |http, (this,)| {
        HostIncomingBody::stream(http, this)
    })?;
    types.value("[static]incoming-body.finish", |http, (this,)| {
        HostIncomingBody::finish(http, this)
    })?;

    types.resource("outgoing-body", |http, this| HostOutgoingBody::drop(http, this))?;
    types.value("[method]outgoing-body.write", |http, (this,)| {
        HostOutgoingBody::write(http, this)
    })?;

    types.resource("future-trailers", |http, this| {
        HostFutureTrailers::drop(http, this)
    })?;
    types.value("[method]future-trailers.subscribe", |http, (this,)| {
        HostFutureTrailers::subscribe(http, this)
    })?;

    types.resource("future-incoming-response", |http, this| {
        HostFutureIncomingResponse::drop(http, this)
    })?;
    types.value("[method]future-incoming-response.subscribe", |http, (this,)| {
        HostFutureIncomingResponse::subscribe(http, this)
    })?;

    match candidate {
        Candidate::October => {
            types.action("[static]outgoing-body.finish", |http, (this, trailers)| {
                october::finish(http, this, trailers)
            })?;
            types.value("[method]future-trailers.get", |http, (this,)| {
                Ok(match trailers(http, this)? {
                    None => None,
                    Some(Ok(Some(trailers))) => Some(Ok(trailers)),
                    // October had no way to say that there are none.
                    Some(Ok(None)) => Some(Ok(HostFields::new(http)?)),
                    Some(Err(code)) => Some(Err(october::Error::from(code))),
                })
            })?;
            types.value("[method]future-incoming-response.get", |http, (this,)| {
                let response = HostFutureIncomingResponse::get(http, this)?;
                Ok(response.map(|taken| taken.map(|response| response.map_err(october::Error::from))))
            })
        }
        Candidate::November => {
            types.attempt("[static]outgoing-body.finish", |http, (this, trailers)| {
                HostOutgoingBody::finish(http, this, trailers)
            })?;
            types.value("[method]future-trailers.get", |http, (this,)| {
                trailers(http, this)
            })?;
            types.value("[method]future-incoming-response.get", |http, (this,)| {
                HostFutureIncomingResponse::get(http, this)
            })
        }
    }
}

type Arrived = Result<Option<Resource<Trailers>>, ErrorCode>;

/// The trailers once they are there. Both candidates lack 0.2's answer to asking a second time: it becomes an error code.
fn trailers(
    http: &mut WasiHttpCtxView<'_>,
    this: Resource<FutureTrailers>,
) -> wasmtime::Result<Option<Arrived>> {
    let arrived = HostFutureTrailers::get(http, this)?;
    let taken = || ErrorCode::InternalError(Some("the trailers have been taken before".into()));
    Ok(arrived.map(|arrived| arrived.unwrap_or_else(|()| Err(taken()))))
}
