//! How far a connection may be read ahead of its messages being handled.
//!
//! The client library hands every message over as soon as it is read, to a queue without an end. Where guests are slower
//! than publishers, that is the host's memory; so the connection is read no further than so many bytes while there are
//! messages to be handled, and the server holds the rest, or hangs up, as its own limits say.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use futures::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Bytes that may be read ahead.
const READ_AHEAD: usize = 16 << 20;

/// Counts what has been read since everything had been handled.
#[derive(Debug, Default)]
pub(super) struct Gate {
    read: AtomicUsize,
    reader: AtomicWaker,
}

impl Gate {
    /// Everything that has been read is handled, or waits for more to be a message.
    pub(super) fn open(&self) {
        if self.read.swap(0, Ordering::AcqRel) >= READ_AHEAD {
            self.reader.wake();
        }
    }

    fn is_closed(&self) -> bool {
        self.read.load(Ordering::Acquire) >= READ_AHEAD
    }
}

/// A connection behind a gate.
pub(super) struct Gated<S> {
    stream: S,
    gate: Arc<Gate>,
}

impl<S> Gated<S> {
    pub(super) fn new(stream: S, gate: &Arc<Gate>) -> Self {
        Self {
            stream,
            gate: gate.clone(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Gated<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.gate.is_closed() {
            self.gate.reader.register(cx.waker());
            // It may have been opened before there was anybody to wake.
            if self.gate.is_closed() {
                return Poll::Pending;
            }
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.gate
            .read
            .fetch_add(buf.filled().len() - before, Ordering::AcqRel);
        polled
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gated<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_reader_stops_at_the_limit_and_goes_on_when_all_is_handled() {
        let gate = Arc::new(Gate::default());
        let mut gated = Gated::new(tokio::io::repeat(1), &gate);
        let mut taken = 0;
        let mut buffer = vec![0; 1 << 20];
        while let Some(read) = gated.read(&mut buffer).now_or_never() {
            taken += read.unwrap();
        }
        assert!(
            (READ_AHEAD..READ_AHEAD + buffer.len()).contains(&taken),
            "{taken}"
        );
        let reading = tokio::spawn(async move { gated.read(&mut buffer).await.unwrap() });
        tokio::task::yield_now().await;
        gate.open();
        assert!(reading.await.unwrap() > 0);
    }
}
