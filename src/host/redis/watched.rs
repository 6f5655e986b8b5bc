//! A stream that tells when the server has closed it, and that ends when a reply is larger than the host buffers.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};

/// What may arrive for one reply: what the host buffers, and the protocol's own lines.
const MAX_REPLY: usize = MAX_BUFFERED + 64 * 1024;

/// What is known about a stream by those who don't own it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    closed: AtomicBool,
    too_large: AtomicBool,
    /// Since a reply was last complete or a command sent.
    received: AtomicUsize,
}

impl Watch {
    /// Whether nothing more can be sent or received.
    pub(super) fn closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Whether it was closed because of a reply's length.
    pub(super) fn too_large(&self) -> bool {
        self.too_large.load(Ordering::Relaxed)
    }

    /// What is received from now on belongs to other replies.
    pub(super) fn reply_complete(&self) {
        self.received.store(0, Ordering::Relaxed);
    }

    fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
    }
}

/// The stream, with its watch.
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = ready!(Pin::new(&mut this.stream).poll_read(cx, buffer));
        let arrived = buffer.filled().len() - before;
        if result.is_err() || arrived == 0 {
            this.watch.close();
            return Poll::Ready(result);
        }
        if this.watch.received.fetch_add(arrived, Ordering::Relaxed) + arrived > MAX_REPLY {
            this.watch.too_large.store(true, Ordering::Relaxed);
            this.watch.close();
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionAborted, TOO_LARGE)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = ready!(Pin::new(&mut this.stream).poll_write(cx, bytes));
        match result {
            Ok(_) => this.watch.reply_complete(),
            Err(_) => this.watch.close(),
        }
        Poll::Ready(result)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn it_tells_that_the_other_side_is_gone() {
        let (near, mut far) = tokio::io::duplex(16);
        let watch = Arc::new(Watch::default());
        let mut watched = Watched::new(near, watch.clone());
        far.write_all(b"x").await.unwrap();
        assert_eq!(watched.read_u8().await.unwrap(), b'x');
        assert!(!watch.closed());
        drop(far);
        assert!(watched.read_u8().await.is_err());
        assert!(watch.closed());
        assert!(!watch.too_large());
    }

    #[tokio::test]
    async fn a_reply_without_end_is_cut() {
        let watch = Arc::new(Watch::default());
        let mut watched = Watched::new(tokio::io::repeat(b'x'), watch.clone());
        let error = tokio::io::copy(&mut watched, &mut tokio::io::sink())
            .await
            .unwrap_err();
        assert_eq!(error.to_string(), TOO_LARGE);
        assert!(watch.too_large() && watch.closed());
    }
}
