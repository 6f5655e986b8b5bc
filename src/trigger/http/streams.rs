//! Streams of HTTP/2 whose clients do not take their responses.
//!
//! Each stream has a window of its own, which its client opens when it wants more. What waits for one says nothing on the wire,
//! so that a connection looks idle, or as busy as its other streams are. hyper runs each stream as a task, which takes a piece
//! of the response's body when there is room for it, and the next one when that piece is on its way: a task that has had a
//! piece for too long, and has not come back for another, waits for a client that does not read. It ends; the client is told
//! by `RST_STREAM`, and the connection's other streams go on.

use std::cell::Cell;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::rt::Executor;
use tokio::time::{Instant, Sleep};

use crate::tasks;

/// Bytes that a client has to take within the timeout: HTTP/2's smallest largest frame (RFC 9113 §4.2).
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// Since when this stream's task has had a piece of its response.
    static HELD: Cell<Option<Instant>>;
}

/// Runs the streams of one connection.
#[derive(Clone)]
pub(super) struct Streams {
    /// How long a client may leave a response where it is.
    pub(super) timeout: Duration,
}

impl<F> Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, stream: F) {
        tasks::spawn("stream", HELD.scope(Cell::new(None), run(stream, self.timeout)));
    }
}

/// Until the stream has ended, or its client has not read for too long.
async fn run(stream: impl Future<Output = ()>, timeout: Duration) {
    let mut stream = pin!(stream);
    let mut alarm: Option<Pin<Box<Sleep>>> = None;
    std::future::poll_fn(|cx| {
        if stream.as_mut().poll(cx).is_ready() {
            return Poll::Ready(());
        }
        let Some(since) = HELD.with(Cell::get) else {
            return Poll::Pending;
        };
        let deadline = since + timeout;
        let alarm = alarm.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if alarm.deadline() != deadline {
            alarm.as_mut().reset(deadline);
        }
        alarm.as_mut().poll(cx)
    })
    .await;
}

/// A response's body whose pieces are given one by one to the task of its stream; over HTTP/1, as they come.
pub(super) struct Pieces<B> {
    body: B,
    /// What has come and has not been given.
    rest: Bytes,
    /// Nothing of it is given.
    unsent: bool,
}

impl<B> Pieces<B> {
    pub(super) fn of(body: B) -> Self {
        Self {
            body,
            rest: Bytes::new(),
            unsent: false,
        }
    }

    /// Of a response that must not have one, which hyper looks at over HTTP/1 alone.
    pub(super) fn unsent(body: B) -> Self {
        Self {
            unsent: true,
            ..Self::of(body)
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Pieces<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.unsent {
            return Poll::Ready(None);
        }
        // An error means that there is no stream.
        if HELD.try_with(|held| held.set(None)).is_err() {
            return Pin::new(&mut self.body).poll_frame(cx);
        }
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
                },
                end => return Poll::Ready(end),
            }
        }
        let size = self.rest.len().min(PIECE);
        let piece = self.rest.split_to(size);
        if !piece.is_empty() {
            HELD.with(|held| held.set(Some(Instant::now())));
        }
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.unsent || self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.unsent {
            return SizeHint::with_exact(0);
        }
        let (rest, hint) = (self.rest.len() as u64, self.body.size_hint());
        let mut size = SizeHint::new();
        size.set_lower(hint.lower() + rest);
        if let Some(upper) = hint.upper() {
            size.set_upper(upper + rest);
        }
        size
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    const TIMEOUT: Duration = Duration::from_secs(60);

    fn pieces(bytes: usize) -> Pieces<Full<Bytes>> {
        Pieces::of(Full::new(Bytes::from(vec![0; bytes])))
    }

    async fn sizes(mut body: Pieces<Full<Bytes>>) -> Vec<usize> {
        let mut sizes = Vec::new();
        while let Some(Ok(frame)) = body.frame().await {
            sizes.push(frame.into_data().unwrap().len());
            let rest = body.size_hint().exact().unwrap();
            assert_eq!(body.is_end_stream(), rest == 0);
        }
        sizes
    }

    #[tokio::test]
    async fn a_stream_is_given_pieces_and_http1_what_comes() {
        let in_stream = HELD.scope(Cell::new(None), sizes(pieces(2 * PIECE + 1)));
        assert_eq!(in_stream.await, [PIECE, PIECE, 1]);
        assert_eq!(sizes(pieces(2 * PIECE + 1)).await, [2 * PIECE + 1]);
    }

    /// How long a stream lasts that does this.
    async fn lasts(stream: impl Future<Output = ()>) -> Duration {
        let begin = Instant::now();
        HELD.scope(Cell::new(None), run(stream, TIMEOUT)).await;
        begin.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_stream_ends_when_its_client_has_taken_nothing_for_too_long() {
        let half = || tokio::time::sleep(TIMEOUT / 2);
        let stalled = lasts(async {
            let mut body = pieces(3 * PIECE);
            for _ in 0..2 {
                body.frame().await;
                half().await;
            }
            std::future::pending().await
        });
        let after = stalled.await;
        assert!(
            after >= TIMEOUT * 3 / 2 && after < TIMEOUT * 3 / 2 + TIMEOUT / 60,
            "{after:?}"
        );
        // It waits for its guest.
        let slow = lasts(async {
            let mut body = pieces(1);
            body.frame().await;
            body.frame().await;
            tokio::time::sleep(10 * TIMEOUT).await;
        });
        assert_eq!(slow.await, 10 * TIMEOUT);
    }
}
