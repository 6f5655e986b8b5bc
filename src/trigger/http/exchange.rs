//! One request from outside, from its first byte to the last of its response.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::task::AtomicWaker;
use http::{Method, StatusCode, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime_wasi_http::{Error, WasiBody};

use super::ending::Ended;
use super::request_id::RequestId;

/// Where in a trace a request is.
type Span = opentelemetry::Context;

/// Watches over one exchange: knows when the client is gone before it has had the whole response.
///
/// It travels from the request's handler into the response's body; whoever holds it when it is dropped
/// early was left by the client.
pub(super) struct ClientGuard {
    watch: ClientWatch,
    app: Arc<str>,
    complete: bool,
}

impl ClientGuard {
    /// For one request of an app; requests of guests have no name, unless they carry on that of a client's.
    pub(super) fn new(app: Arc<str>, request_id: Option<RequestId>, span: Option<Span>) -> Self {
        Self {
            watch: ClientWatch {
                gone: CancellationToken::new(),
                cut_off: Arc::default(),
                server: Arc::default(),
                request_id,
                span,
            },
            app,
            complete: false,
        }
    }

    /// For the instance that serves this exchange.
    pub(super) fn watch(&self) -> ClientWatch {
        self.watch.clone()
    }

    /// Whether the guest ended before it was done: the end of its body is then none.
    fn is_cut_off(&self) -> bool {
        self.watch.cut_off.load(Ordering::Acquire) || self.is_cut_off_with_others()
    }

    /// Whether it was an instance that served others, too: whoever logs its failure does not know for whom.
    fn is_cut_off_with_others(&self) -> bool {
        matches!(&*lock(&self.watch.server), Server::Instance(clients) if clients.failed.load(Ordering::Acquire))
    }

    fn tell_cut_off(&self) {
        if self.is_cut_off_with_others() {
            tracing::error!(
                app = %self.app,
                request_id = self.watch.request_id.as_ref().map(tracing::field::display),
                "a response was cut off with the instance that had the request"
            );
        }
    }
}

impl ClientGuard {
    /// The host answers in the guest's place: the client does not leave, and what the guest still does may go on.
    pub(super) fn answered_by_host(&mut self) {
        self.complete = true;
    }
}

impl Drop for ClientGuard {
    fn drop(&mut self) {
        let server = std::mem::replace(&mut *lock(&self.watch.server), Server::Over);
        if let Server::Instance(clients) = server {
            clients.end(self.complete);
        }
        if !self.complete {
            self.watch.gone.cancel();
        }
    }
}

/// The instance's side of a [`ClientGuard`].
#[derive(Clone)]
pub(super) struct ClientWatch {
    gone: CancellationToken,
    cut_off: Arc<AtomicBool>,
    server: Arc<Mutex<Server>>,
    request_id: Option<RequestId>,
    span: Option<Span>,
}

/// Who serves an exchange.
#[derive(Default)]
enum Server {
    #[default]
    NotYet,
    Instance(Arc<Clients>),
    Over,
}

impl ClientWatch {
    pub(super) fn request_id(&self) -> Option<&RequestId> {
        self.request_id.as_ref()
    }

    /// The request's, if there are spans.
    pub(super) fn span(&self) -> Option<Span> {
        self.span.clone()
    }

    /// Cancelled when the client has gone; never when it got all of the response.
    pub(super) fn gone(&self) -> CancellationToken {
        self.gone.clone()
    }

    /// Says when it is dropped, by a trap, a panic or because the guest is ended, that the guest was not done. It has
    /// to be dropped before the guest's store, which ends the body as if it were whole.
    pub(super) fn cut_off_unless_done(&self) -> CutOff {
        CutOff(Some(self.cut_off.clone()))
    }

    /// Counts the client among those of an instance that serves several.
    pub(super) fn served_by(&self, clients: &Arc<Clients>) {
        let mut server = lock(&self.server);
        if let Server::NotYet = *server {
            lock(&clients.state).waiting += 1;
            *server = Server::Instance(clients.clone());
        }
    }
}

/// See [`ClientWatch::cut_off_unless_done`].
pub(super) struct CutOff(Option<Arc<AtomicBool>>);

impl CutOff {
    pub(super) fn done(mut self) {
        self.0 = None;
    }
}

impl Drop for CutOff {
    fn drop(&mut self) {
        if let Some(cut_off) = &self.0 {
            cut_off.store(true, Ordering::Release);
        }
    }
}

/// The clients of one instance that serves several.
///
/// The instance is worth keeping while one of them waits, or when all got what they asked for; once one has left
/// and no other waits, it is dropped, as an instance with one client is.
#[derive(Default)]
pub(super) struct Clients {
    state: Mutex<ClientsState>,
    waker: AtomicWaker,
    failed: AtomicBool,
    abandoned: AtomicBool,
}

#[derive(Default)]
struct ClientsState {
    waiting: usize,
    one_left: bool,
}

impl Clients {
    fn end(&self, complete: bool) {
        let mut state = lock(&self.state);
        state.waiting -= 1;
        state.one_left |= !complete;
        drop(state);
        self.waker.wake();
    }

    /// Those that wait now.
    pub(super) fn waiting(&self) -> u32 {
        u32::try_from(lock(&self.state).waiting).unwrap_or(u32::MAX)
    }

    /// The guest ended before it was done, for all of them.
    pub(super) fn cut_off(&self) {
        self.failed.store(true, Ordering::Release);
    }

    pub(super) fn any_left(&self) -> bool {
        lock(&self.state).one_left
    }

    /// Whether the instance was ended because they left. That they have all left says less: those that a trap has
    /// answered leave too.
    pub(super) fn is_abandoned(&self) -> bool {
        self.abandoned.load(Ordering::Acquire)
    }

    fn all_left(&self) -> bool {
        let state = lock(&self.state);
        state.one_left && state.waiting == 0
    }

    pub(super) fn poll_all_left(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.waker.register(cx.waker());
        if self.all_left() {
            self.abandoned.store(true, Ordering::Release);
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// None of these locks is held where a panic could poison it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A guest's response body on its way to the client: it ends early when its exchange has to end, and keeps the app's drain
/// waiting until it is done.
pub(super) struct GuestBody {
    body: WasiBody,
    guard: ClientGuard,
    /// Bytes still to come when the head announced a length: the server never asks for the end of such a body.
    announced: Option<u64>,
    ended: Ended,
    /// When `ended` will be, if the response takes so long: a body that is always ready never asks it.
    deadline: Option<Instant>,
    _held: Held,
}

/// What a response holds until it is done: the count that the app's drain waits for, and its place among the app's
/// requests.
pub(super) type Held = (TaskTrackerToken, Option<OwnedSemaphorePermit>);

impl GuestBody {
    pub(super) fn wrap(
        response: http::Response<WasiBody>,
        method: &Method,
        mut guard: ClientGuard,
        ended: Ended,
        deadline: Option<Instant>,
        held: Held,
    ) -> http::Response<WasiBody> {
        let announced = announced_length(&response);
        // A response without a body is complete with its head: the server drops the body unread.
        guard.complete = *method == Method::HEAD
            || announced == Some(0)
            || matches!(
                response.status(),
                StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED
            )
            || response.body().is_end_stream();
        response.map(|body| {
            Self {
                body,
                guard,
                announced,
                ended,
                deadline,
                _held: held,
            }
            .boxed_unsync()
        })
    }
}

fn announced_length(response: &http::Response<WasiBody>) -> Option<u64> {
    response
        .headers()
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

impl GuestBody {
    /// The response has begun: there is no answer but to break it off.
    fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.ended
            .as_mut()
            .poll(cx)
            .map(|_| Some(Err(Error::ConnectionTerminated)))
    }
}

impl Body for GuestBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if self.deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return self.poll_ended(cx);
        }
        match Pin::new(&mut self.body).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                if let (Some(left), Some(data)) = (self.announced, frame.data_ref()) {
                    let left = left.saturating_sub(data.len() as u64);
                    self.announced = Some(left);
                    self.guard.complete |= left == 0;
                }
                self.guard.complete |= self.body.is_end_stream();
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(None) if !self.guard.complete && self.guard.is_cut_off() => {
                self.guard.tell_cut_off();
                Poll::Ready(Some(Err(Error::ConnectionTerminated)))
            }
            // A guest that was given too little of its request may end as if all were well.
            Poll::Ready(None) => match self.poll_ended(cx) {
                Poll::Pending => {
                    self.guard.complete = true;
                    Poll::Ready(None)
                }
                cut => cut,
            },
            Poll::Ready(Some(Err(error))) => Poll::Ready(Some(Err(error))),
            Poll::Pending => self.poll_ended(cx),
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
    use futures::FutureExt as _;

    use super::*;

    fn guard() -> ClientGuard {
        ClientGuard::new("app".into(), None, None)
    }

    #[tokio::test]
    async fn a_guest_that_panics_or_is_dropped_has_cut_its_body_off() {
        let guest = |watch: ClientWatch, end: fn()| async move {
            let cut_off = watch.cut_off_unless_done();
            tokio::task::yield_now().await;
            end();
            cut_off.done();
        };
        let client = guard();
        guest(client.watch(), || {}).await;
        assert!(!client.is_cut_off());
        let panicked = std::panic::AssertUnwindSafe(guest(client.watch(), || panic!("in a host call")));
        panicked.catch_unwind().await.unwrap_err();
        assert!(client.is_cut_off());

        let client = guard();
        let mut dropped = Box::pin(guest(client.watch(), || {}));
        assert!(futures::poll!(&mut dropped).is_pending());
        drop(dropped);
        assert!(client.is_cut_off());
    }

    #[test]
    fn clients_that_the_host_answered_have_not_left() {
        let clients = Arc::new(Clients::default());
        let mut answered = guard();
        answered.watch().served_by(&clients);
        answered.answered_by_host();
        drop(answered);
        assert!(!clients.any_left());
        let left = guard();
        left.watch().served_by(&clients);
        drop(left);
        assert!(clients.all_left() && !clients.is_abandoned());
    }
}
