//! `wasi:io`: streams, what can be waited for, and the errors of streams.

use wasmtime::component::{HasSelf, Linker, Resource, ResourceTable};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::bindings::io::error::HostError;
use wasmtime_wasi::p2::bindings::io::poll::{Host as Poll, HostPollable};
use wasmtime_wasi::p2::bindings::io::streams::{HostInputStream, HostOutputStream};
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream, StreamError, StreamResult};

use super::Candidate;
use super::interface::Interface;

type Io<'linker, T> = Interface<'linker, T, HasSelf<ResourceTable>>;

/// The most that is moved in one step of `forward`.
const FORWARD_STEP: u64 = 64 * 1024;

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    poll(
        &mut Io::new(linker, candidate, "wasi:io/poll", |data| data.ctx().table)?,
        candidate,
    )?;
    if candidate == Candidate::November {
        errors(&mut Io::new(linker, candidate, "wasi:io/error", |data| {
            data.ctx().table
        })?)?;
    }
    let mut streams = Io::new(linker, candidate, "wasi:io/streams", |data| data.ctx().table)?;
    input(&mut streams)?;
    output(&mut streams)?;
    match candidate {
        Candidate::October => {
            errors(&mut streams)?;
            splice_owned(&mut streams)
        }
        Candidate::November => splice_borrowed(&mut streams),
    }
}

fn poll<T: WasiView + 'static>(poll: &mut Io<'_, T>, candidate: Candidate) -> wasmtime::Result<()> {
    poll.resource("pollable", |table, this| HostPollable::drop(table, this))?;
    match candidate {
        Candidate::October => {
            poll.value_async("poll-list", |table, (list,)| Box::pin(Poll::poll(table, list)))?;
            poll.action_async("poll-one", |table, (this,)| {
                Box::pin(HostPollable::block(table, this))
            })
        }
        Candidate::November => {
            poll.value_async("[method]pollable.ready", |table, (this,)| {
                Box::pin(HostPollable::ready(table, this))
            })?;
            poll.action_async("[method]pollable.block", |table, (this,)| {
                Box::pin(HostPollable::block(table, this))
            })?;
            poll.value_async("poll", |table, (list,)| Box::pin(Poll::poll(table, list)))
        }
    }
}

fn errors<T: WasiView + 'static>(errors: &mut Io<'_, T>) -> wasmtime::Result<()> {
    errors.resource("error", |table, this| HostError::drop(table, this))?;
    errors.value("[method]error.to-debug-string", |table, (this,)| {
        HostError::to_debug_string(table, this)
    })
}

fn input<T: WasiView + 'static>(streams: &mut Io<'_, T>) -> wasmtime::Result<()> {
    streams.resource_async("input-stream", |table, this| {
        Box::pin(HostInputStream::drop(table, this))
    })?;
    streams.attempt("[method]input-stream.read", |table, (this, len)| {
        HostInputStream::read(table, this, len)
    })?;
    streams.attempt_async("[method]input-stream.blocking-read", |table, (this, len)| {
        Box::pin(HostInputStream::blocking_read(table, this, len))
    })?;
    streams.attempt("[method]input-stream.skip", |table, (this, len)| {
        HostInputStream::skip(table, this, len)
    })?;
    streams.attempt_async("[method]input-stream.blocking-skip", |table, (this, len)| {
        Box::pin(HostInputStream::blocking_skip(table, this, len))
    })?;
    streams.value("[method]input-stream.subscribe", |table, (this,)| {
        HostInputStream::subscribe(table, this)
    })
}

fn output<T: WasiView + 'static>(streams: &mut Io<'_, T>) -> wasmtime::Result<()> {
    streams.resource_async("output-stream", |table, this| {
        Box::pin(HostOutputStream::drop(table, this))
    })?;
    streams.attempt("[method]output-stream.check-write", |table, (this,)| {
        HostOutputStream::check_write(table, this)
    })?;
    streams.attempt("[method]output-stream.write", |table, (this, contents)| {
        HostOutputStream::write(table, this, contents)
    })?;
    streams.attempt_async(
        "[method]output-stream.blocking-write-and-flush",
        |table, (this, contents)| Box::pin(HostOutputStream::blocking_write_and_flush(table, this, contents)),
    )?;
    streams.attempt("[method]output-stream.flush", |table, (this,)| {
        HostOutputStream::flush(table, this)
    })?;
    streams.attempt_async("[method]output-stream.blocking-flush", |table, (this,)| {
        Box::pin(HostOutputStream::blocking_flush(table, this))
    })?;
    streams.value("[method]output-stream.subscribe", |table, (this,)| {
        HostOutputStream::subscribe(table, this)
    })?;
    streams.attempt("[method]output-stream.write-zeroes", |table, (this, len)| {
        HostOutputStream::write_zeroes(table, this, len)
    })?;
    streams.attempt_async(
        "[method]output-stream.blocking-write-zeroes-and-flush",
        |table, (this, len)| {
            Box::pin(HostOutputStream::blocking_write_zeroes_and_flush(
                table, this, len,
            ))
        },
    )
}

fn splice_borrowed<T: WasiView + 'static>(streams: &mut Io<'_, T>) -> wasmtime::Result<()> {
    streams.attempt("[method]output-stream.splice", |table, (this, source, len)| {
        HostOutputStream::splice(table, this, source, len)
    })?;
    streams.attempt_async(
        "[method]output-stream.blocking-splice",
        |table, (this, source, len)| Box::pin(HostOutputStream::blocking_splice(table, this, source, len)),
    )
}

/// In October the source is given away: whatever comes of it, it ends with the call.
fn splice_owned<T: WasiView + 'static>(streams: &mut Io<'_, T>) -> wasmtime::Result<()> {
    streams.attempt_async("[method]output-stream.splice", |table, (this, source, len)| {
        Box::pin(async move {
            let moved = HostOutputStream::splice(table, this, borrow(&source), len);
            HostInputStream::drop(table, source)
                .await
                .map_err(StreamError::Trap)?;
            moved
        })
    })?;
    streams.attempt_async(
        "[method]output-stream.blocking-splice",
        |table, (this, source, len)| {
            Box::pin(async move {
                let moved = HostOutputStream::blocking_splice(table, this, borrow(&source), len).await;
                HostInputStream::drop(table, source)
                    .await
                    .map_err(StreamError::Trap)?;
                moved
            })
        },
    )?;
    streams.attempt_async("[method]output-stream.forward", |table, (this, source)| {
        Box::pin(async move {
            let moved = forward(table, &this, &source).await;
            HostInputStream::drop(table, source)
                .await
                .map_err(StreamError::Trap)?;
            moved
        })
    })
}

/// Moves everything until either side is closed; the number of bytes moved.
async fn forward(
    table: &mut ResourceTable,
    to: &Resource<DynOutputStream>,
    from: &Resource<DynInputStream>,
) -> StreamResult<u64> {
    let mut moved = 0;
    loop {
        let to = Resource::new_borrow(to.rep());
        match HostOutputStream::blocking_splice(table, to, borrow(from), FORWARD_STEP).await {
            // A source that is ready with nothing must not keep the thread for itself.
            Ok(0) => tokio::task::yield_now().await,
            Ok(bytes) => moved += bytes,
            Err(StreamError::Closed) => return Ok(moved),
            Err(error) => return Err(error),
        }
    }
}

fn borrow(stream: &Resource<DynInputStream>) -> Resource<DynInputStream> {
    Resource::new_borrow(stream.rep())
}
