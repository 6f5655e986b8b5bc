//! How long clients may keep a connection busy with nothing.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use http::Version;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};
use wasmtime_wasi_http::Error;

/// What one connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// The head of a request: the first one, or one that has begun.
    Head,
    /// The first byte of another request. HTTP/2 has bytes of its own between requests: there the next head begins when it
    /// is whole.
    Idle,
}

/// Whether a client has been told that its connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Last {
    No,
    Due,
    Told,
}

/// Bytes: what HTTP/2 writes to keep a connection is shorter, and what a response is made of is longer.
const LONGEST_PING: usize = 256;

/// What is going on at one connection.
pub(super) struct Activity(Mutex<State>);

struct State {
    /// The client has said something.
    begun: bool,
    /// Requests whose responses have not ended.
    in_flight: usize,
    waiting: Waiting,
    since: Instant,
    is_http2: bool,
    /// The next answer ends the connection.
    last: Last,
    /// Since when the client has not taken what is written to it.
    stalled: Option<Instant>,
}

impl Activity {
    /// Of a connection that begins now.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            begun: false,
            in_flight: 0,
            waiting: Waiting::Head,
            since: Instant::now(),
            is_http2: false,
            last: Last::No,
            stalled: None,
        })))
    }

    /// Counts a request until the value is dropped.
    pub(super) fn begin(self: &Arc<Self>, version: Version) -> InFlight {
        let mut state = self.lock();
        state.in_flight += 1;
        state.is_http2 = version == Version::HTTP_2;
        InFlight(self.clone())
    }

    /// Ends when the client has said something. It has to be asked as [`Watchdog`] has.
    pub(super) async fn begun(&self) {
        let begun = || match self.lock().begun {
            true => Poll::Ready(()),
            false => Poll::Pending,
        };
        std::future::poll_fn(|_| begun()).await;
    }

    /// Makes the next answer the last one, and ends when the client has been told so, by [`InFlight::is_last`], or can be told in
    /// another way: with the response that is on its way, or by HTTP/2. It has to be asked as [`Watchdog`] has.
    pub(super) async fn told_of_the_end(&self) {
        let told = || {
            let mut state = self.lock();
            if state.last == Last::No {
                state.last = Last::Due;
            }
            match state.in_flight > 0 || state.is_http2 || state.last == Last::Told {
                true => Poll::Ready(()),
                false => Poll::Pending,
            }
        };
        std::future::poll_fn(|_| told()).await;
    }

    fn heard(&self) {
        let mut state = self.lock();
        state.begun = true;
        if state.in_flight == 0 && state.waiting == Waiting::Idle && !state.is_http2 {
            state.waiting = Waiting::Head;
            state.since = Instant::now();
        }
    }

    /// The client takes what is written, or does not. The last of a response goes on its way after its body has ended.
    fn wrote(&self, written: &Poll<std::io::Result<usize>>) {
        let mut state = self.lock();
        match written {
            Poll::Pending => {
                state.stalled.get_or_insert_with(Instant::now);
            }
            Poll::Ready(Ok(bytes)) => {
                state.stalled = None;
                if *bytes > LONGEST_PING && state.waiting == Waiting::Idle {
                    state.since = Instant::now();
                }
            }
            Poll::Ready(Err(_)) => {}
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn be_idle(&mut self) {
        self.waiting = Waiting::Idle;
        self.since = Instant::now();
    }
}

/// A request whose response has not ended.
pub(super) struct InFlight(Arc<Activity>);

impl InFlight {
    /// Whether its response has to say that the connection ends; asked once, for that response.
    pub(super) fn is_last(&self) -> bool {
        let mut state = self.0.lock();
        if state.last == Last::Due && !state.is_http2 {
            state.last = Last::Told;
        }
        state.last == Last::Told
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_flight -= 1;
        if state.in_flight == 0 {
            state.be_idle();
        }
    }
}

/// What a connection has waited for too long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    Head,
    Request,
    /// The client does not read what is written to it; what waits in streams of HTTP/2 is seen in `streams.rs`.
    Response,
}

/// Looks at the clock for one connection. It has to be asked from the connection's own task, after the connection: then
/// whatever happens there is seen without being told.
pub(super) struct Watchdog {
    activity: Arc<Activity>,
    header_timeout: Duration,
    idle_timeout: Duration,
    write_timeout: Duration,
    /// Ends no later than the next moment to look at.
    alarm: Pin<Box<Sleep>>,
}

impl Watchdog {
    pub(super) fn new(
        activity: &Arc<Activity>,
        header_timeout: Duration,
        idle_timeout: Duration,
        write_timeout: Duration,
    ) -> Self {
        Self {
            activity: activity.clone(),
            header_timeout,
            idle_timeout,
            write_timeout,
            alarm: Box::pin(tokio::time::sleep(header_timeout)),
        }
    }

    /// Ends when the client is overdue. Asked again, it gives the client as much time again.
    pub(super) async fn overdue(&mut self) -> Overdue {
        std::future::poll_fn(|cx| self.poll_overdue(cx)).await
    }

    fn poll_overdue(&mut self, cx: &mut Context<'_>) -> Poll<Overdue> {
        loop {
            let Some((deadline, overdue)) = self.deadline() else {
                ready!(self.alarm.as_mut().poll(cx));
                let shortest = self.header_timeout.min(self.idle_timeout).min(self.write_timeout);
                let later = Instant::now() + shortest;
                self.alarm.as_mut().reset(later);
                continue;
            };
            if deadline < self.alarm.deadline() {
                self.alarm.as_mut().reset(deadline);
            }
            ready!(self.alarm.as_mut().poll(cx));
            if Instant::now() >= deadline {
                self.activity.lock().be_idle();
                return Poll::Ready(overdue);
            }
            self.alarm.as_mut().reset(deadline);
        }
    }

    /// `None` while a request is in flight whose client reads.
    fn deadline(&self) -> Option<(Instant, Overdue)> {
        let state = self.activity.lock();
        if let Some(since) = state.stalled {
            return Some((since + self.write_timeout, Overdue::Response));
        }
        (state.in_flight == 0).then(|| match state.waiting {
            Waiting::Head => (state.since + self.header_timeout, Overdue::Head),
            Waiting::Idle => (state.since + self.idle_timeout, Overdue::Request),
        })
    }
}

/// A connection's stream that tells when something comes.
pub(super) struct Heard<S> {
    stream: S,
    activity: Arc<Activity>,
}

impl<S> Heard<S> {
    pub(super) fn new(stream: S, activity: &Arc<Activity>) -> Self {
        Self {
            stream,
            activity: activity.clone(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Heard<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buffer));
        if buffer.filled().len() > before {
            self.activity.heard();
        }
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Heard<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.activity.wrote(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[std::io::IoSlice<'_>],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.activity.wrote(&written);
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

/// Whether the body of one request has stalled while its answer was due.
#[derive(Default)]
pub(super) struct Pace {
    is_answered: AtomicBool,
    is_late: AtomicBool,
    late: Notify,
}

impl Pace {
    /// The answer has begun. A client may wait with the rest of its body for what the answer says.
    pub(super) fn answered(&self) {
        self.is_answered.store(true, Ordering::Relaxed);
    }

    /// Ends when the body has stalled.
    pub(super) async fn late(&self) {
        self.late.notified().await;
    }

    pub(super) fn is_late(&self) -> bool {
        self.is_late.load(Ordering::Relaxed)
    }
}

/// A request's body that ends with an error when the client pauses for too long: as long as somebody waits for its next
/// piece, and the response has not begun.
pub(super) struct TimedBody {
    body: Incoming,
    timeout: Duration,
    /// Since somebody waits.
    alarm: Option<Pin<Box<Sleep>>>,
    pace: Arc<Pace>,
}

impl TimedBody {
    pub(super) fn new(body: Incoming, timeout: Duration, pace: &Arc<Pace>) -> Self {
        Self {
            body,
            timeout,
            alarm: None,
            pace: pace.clone(),
        }
    }
}

impl Body for TimedBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) {
            self.alarm = None;
            return Poll::Ready(frame.map(|frame| frame.map_err(Error::Hyper)));
        }
        let timeout = self.timeout;
        let alarm = self
            .alarm
            .get_or_insert_with(|| Box::pin(tokio::time::sleep(timeout)));
        ready!(alarm.as_mut().poll(cx));
        if self.pace.is_answered.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        self.pace.is_late.store(true, Ordering::Relaxed);
        self.pace.late.notify_one();
        Poll::Ready(Some(Err(Error::ConnectionReadTimeout)))
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
    use futures::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const HEADER: Duration = Duration::from_secs(30);
    const IDLE: Duration = Duration::from_secs(300);
    const MOMENT: Duration = Duration::from_millis(1);

    fn connection() -> (Arc<Activity>, Watchdog) {
        let activity = Activity::new();
        let watchdog = Watchdog::new(&activity, HEADER, IDLE, HEADER);
        (activity, watchdog)
    }

    /// What becomes overdue, and after how long.
    async fn overdue(watchdog: &mut Watchdog) -> (Overdue, Duration) {
        let start = Instant::now();
        let overdue = watchdog.overdue().await;
        (overdue, start.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_request_is_due_soon_and_the_next_ones_later() {
        let (activity, mut watchdog) = connection();
        let (what, after) = overdue(&mut watchdog).await;
        assert_eq!(what, Overdue::Head);
        assert!(after >= HEADER && after < HEADER + 2 * MOMENT);
        drop(activity.begin(Version::HTTP_11));
        let (what, after) = overdue(&mut watchdog).await;
        assert_eq!(what, Overdue::Request);
        assert!(after >= IDLE && after < IDLE + 2 * MOMENT);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_due_while_a_request_is_in_flight() {
        let (activity, mut watchdog) = connection();
        let (first, second) = (activity.begin(Version::HTTP_2), activity.begin(Version::HTTP_2));
        assert!(tokio::time::timeout(10 * IDLE, watchdog.overdue()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(10 * IDLE, watchdog.overdue()).await.is_err());
        drop(second);
        assert_eq!(overdue(&mut watchdog).await.0, Overdue::Request);
    }

    #[tokio::test(start_paused = true)]
    async fn a_head_that_has_begun_is_due_soon_but_for_http2() {
        for (version, expected, least) in [
            (Version::HTTP_11, Overdue::Head, HEADER),
            (Version::HTTP_2, Overdue::Request, IDLE),
        ] {
            let (activity, mut watchdog) = connection();
            let (mut client, server) = tokio::io::duplex(64);
            let mut server = Heard::new(server, &activity);
            drop(activity.begin(version));
            assert!(watchdog.overdue().now_or_never().is_none());
            client.write_all(b"GE").await.unwrap();
            server.read_u8().await.unwrap();
            tokio::time::advance(HEADER / 2).await;
            // More of it gains no time.
            server.read_u8().await.unwrap();
            let start = Instant::now() - HEADER / 2;
            assert_eq!(watchdog.overdue().await, expected);
            assert!(start.elapsed() >= least && start.elapsed() < least + 2 * MOMENT);
        }
    }
}
