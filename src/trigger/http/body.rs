//! A request's body, within the app's limit.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio_util::sync::CancellationToken;
use wasmtime_wasi_http::{Error, WasiBody};

use crate::runtime::{Overruns, Reason};

/// Tells that a body is larger than it may be: travels with its request.
#[derive(Debug, Clone)]
pub(super) struct Oversize {
    token: CancellationToken,
    overruns: Arc<Overruns>,
}

impl Oversize {
    pub(super) fn new(overruns: Arc<Overruns>) -> Self {
        Self {
            token: CancellationToken::new(),
            overruns,
        }
    }

    fn tell(&self) {
        self.overruns.record(Reason::Body);
        self.token.cancel();
    }

    /// Ends when the body has turned out to be too large.
    pub(super) async fn told(&self) {
        self.token.cancelled().await;
    }
}

/// A body that ends with an error when more than its limit comes.
pub(super) struct LimitedBody {
    body: WasiBody,
    most: u64,
    left: u64,
    oversize: Oversize,
}

impl LimitedBody {
    pub(super) fn new(body: WasiBody, most: u64, oversize: Oversize) -> Self {
        Self {
            body,
            most,
            left: most,
            oversize,
        }
    }
}

impl Body for LimitedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        let Poll::Ready(Some(Ok(frame))) = &polled else {
            return polled;
        };
        let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
        match self.left.checked_sub(bytes) {
            Some(left) => {
                self.left = left;
                polled
            }
            None => {
                self.oversize.tell();
                Poll::Ready(Some(Err(Error::HttpRequestBodySize(Some(self.most)))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;
    use http_body_util::{BodyExt, StreamBody};

    use super::*;

    #[tokio::test]
    async fn a_body_ends_with_an_error_at_its_limit() {
        for (most, expected) in [(4, Some(4)), (3, None)] {
            let oversize = Oversize::new(Arc::new(Overruns::alone()));
            let pieces = ["ab", "cd"].map(|piece| Ok(Frame::data(Bytes::from(piece))));
            let body = StreamBody::new(stream::iter(pieces)).boxed_unsync();
            let body = LimitedBody::new(body, most, oversize.clone());
            let collected = body.collect().await.ok().map(|body| body.to_bytes().len());
            assert_eq!(collected, expected);
            assert_eq!(oversize.token.is_cancelled(), expected.is_none());
        }
    }
}
