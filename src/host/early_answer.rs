//! The rest of a request's body when a server has answered before it had all of it.
//!
//! A server need not wait for the end of a body, be it an empty one that a guest has not got round to ending. The client lets go
//! of it then, and what a guest still writes would fail with a closed stream, which guests made with some SDKs take for a
//! failure of the request. A little of it is therefore taken all the same.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::runtime::Handle;
use wasmtime_wasi_http::{Error, WasiBody};

/// Bytes that are taken for nobody. Who has more to send learns that nobody wants it.
const MOST: usize = 64 << 10;
/// For how long.
const TIME: Duration = Duration::from_secs(30);

/// The same request, whose body may be dropped before its end.
pub(super) fn may_come_early(request: Request<WasiBody>) -> Request<WasiBody> {
    request.map(|body| OutgoingBody(Some(body)).boxed_unsync())
}

/// Empty once it has ended.
struct OutgoingBody(Option<WasiBody>);

impl Body for OutgoingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(body) = &mut self.0 else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(body).poll_frame(cx);
        if let Poll::Ready(None | Some(Err(_))) = polled {
            self.0 = None;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.0
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for OutgoingBody {
    fn drop(&mut self) {
        let rest = self.0.take().filter(|body| !body.is_end_stream());
        // Without a runtime the process ends.
        if let (Some(rest), Ok(runtime)) = (rest, Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(TIME, take(rest)));
        }
    }
}

async fn take(mut rest: WasiBody) {
    let mut left = MOST;
    while let Some(Ok(frame)) = rest.frame().await {
        let bytes = frame.data_ref().map_or(0, Bytes::len);
        match left.checked_sub(bytes) {
            Some(fewer) => left = fewer,
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;
    use http_body_util::StreamBody;
    use tokio::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn a_little_is_taken_of_a_body_that_nobody_wants() {
        let (sender, receiver) = mpsc::channel::<Bytes>(1);
        let chunks = futures::stream::unfold(receiver, |mut receiver| async {
            receiver.recv().await.map(|chunk| (chunk, receiver))
        });
        let body = StreamBody::new(chunks.map(|chunk| Ok(Frame::data(chunk)))).boxed_unsync();
        drop(may_come_early(Request::new(body)));
        let chunk = Bytes::from(vec![0; MOST / 4]);
        for _ in 0..4 {
            sender.send(chunk.clone()).await.unwrap();
        }
        while sender.send(chunk.clone()).await.is_ok() {}
    }

    #[tokio::test]
    async fn a_body_is_what_it_was() {
        let full = http_body_util::Full::new(Bytes::from("all of it"))
            .map_err(|never| match never {})
            .boxed_unsync();
        let request = may_come_early(Request::new(full));
        assert_eq!(request.body().size_hint().exact(), Some(9));
        assert_eq!(
            request.into_body().collect().await.unwrap().to_bytes(),
            "all of it"
        );
    }
}
