//! A thread that writes lines, and the bounded way to it: whoever has a line never waits.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

/// How long the last lines may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// How often a sink is asked to let go of what it does not use.
const TIDY_INTERVAL: Duration = Duration::from_secs(30);

/// What is done with lines, on the thread. It tells its failures itself.
pub(crate) trait Sink: Send + 'static {
    type Line: Send + 'static;

    fn write(&mut self, line: Self::Line);

    /// No other line waits.
    fn flush(&mut self);

    /// Another program has renamed the file.
    fn reopen(&mut self);

    /// Called once in a while.
    fn tidy(&mut self) {}
}

/// The way to one thread. Clones are handles to the same.
pub(crate) struct LineThread<L> {
    name: &'static str,
    messages: mpsc::Sender<Message<L>>,
    /// Looked at before each message.
    reopen: Arc<AtomicBool>,
}

impl<L> Clone for LineThread<L> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            messages: self.messages.clone(),
            reopen: self.reopen.clone(),
        }
    }
}

enum Message<L> {
    Line(L),
    /// Look at what was asked for besides.
    Wake,
    /// Write what has come so far; nothing will come after it.
    Close(oneshot::Sender<()>),
}

impl<L: Send + 'static> LineThread<L> {
    /// Starts the thread. `capacity` is the number of lines that may wait.
    pub(crate) fn start(name: &'static str, capacity: usize, sink: impl Sink<Line = L>) -> io::Result<Self> {
        let (messages, received) = mpsc::channel(capacity);
        let reopen = Arc::new(AtomicBool::new(false));
        let worker = Worker {
            sink,
            messages: received,
            reopen: reopen.clone(),
            tidied: Instant::now(),
        };
        // The thread's own: it waits for lines, and writing blocks nobody else's task.
        let waiting = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()?;
        std::thread::Builder::new()
            .name(name.replace(' ', "-"))
            .spawn(move || waiting.block_on(worker.run()))?;
        Ok(Self {
            name,
            messages,
            reopen,
        })
    }

    /// Whether there was room for the line.
    #[must_use]
    pub(crate) fn send(&self, line: L) -> bool {
        !matches!(
            self.messages.try_send(Message::Line(line)),
            Err(mpsc::error::TrySendError::Full(_))
        )
    }

    /// Waits for room, and gives up only when the thread has ended.
    pub(crate) async fn send_patiently(&self, line: L) {
        let _ = self.messages.send(Message::Line(line)).await;
    }

    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // When there is no room, there are lines before which the thread will look.
        let _ = self.messages.try_send(Message::Wake);
    }

    /// Has what has been said so far written, if that is possible in a moment.
    pub(crate) async fn close(self) {
        let (done, written) = oneshot::channel();
        let closed = async {
            if self.messages.send(Message::Close(done)).await.is_ok() {
                // The thread ends in both cases.
                let _ = written.await;
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!(
                log = self.name,
                "the last lines of a log are lost: it is written too slowly"
            );
        }
    }
}

struct Worker<S: Sink> {
    sink: S,
    messages: mpsc::Receiver<Message<S::Line>>,
    reopen: Arc<AtomicBool>,
    tidied: Instant,
}

impl<S: Sink> Worker<S> {
    async fn run(mut self) {
        loop {
            match tokio::time::timeout(TIDY_INTERVAL, self.messages.recv()).await {
                Ok(Some(message)) => {
                    if self.reopen.swap(false, Ordering::AcqRel) {
                        self.sink.reopen();
                    }
                    match message {
                        Message::Line(line) => self.sink.write(line),
                        Message::Wake => {}
                        Message::Close(done) => {
                            self.sink.flush();
                            // Whoever asked may have gone.
                            let _ = done.send(());
                            return;
                        }
                    }
                }
                Ok(None) => return self.sink.flush(),
                // Nothing has come for so long.
                Err(_) => {}
            }
            if self.messages.is_empty() {
                self.sink.flush();
            }
            if self.tidied.elapsed() >= TIDY_INTERVAL {
                self.sink.tidy();
                self.tidied = Instant::now();
            }
        }
    }
}
