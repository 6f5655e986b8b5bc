//! What waits for the collector, and the one task that takes it there.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::signal::Signal;
use super::transport::{SendError, Transport};
use crate::tasks;

/// Bytes of one signal that may wait, of all apps together.
const MAX_WAITING: usize = 32 << 20;
/// What an item takes beside its encoded form.
const OVERHEAD: usize = 256;
/// How long a batch is gathered.
const GATHER_TIME: Duration = Duration::from_secs(1);
/// A batch is sent when it has this many bytes; collectors refuse messages of 4 MiB.
const BATCH_BYTES: usize = 1 << 20;
/// Tries after the first one.
const RETRIES: usize = 5;
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// The way into the queue of one signal. The task ends, having sent what waits, when the last one is dropped.
pub(crate) struct Queue<S: Signal> {
    sender: mpsc::UnboundedSender<Message<S::Item>>,
    places: Arc<Semaphore>,
    dropped: Arc<AtomicU64>,
}

enum Message<I> {
    Item {
        item: I,
        bytes: usize,
        /// Given back when the item was sent or given up.
        places: [OwnedSemaphorePermit; 2],
    },
    /// Answered when everything before it was sent or given up.
    Flush(oneshot::Sender<()>),
}

/// Some data did not fit.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the collector does not keep up: too much telemetry waits for it")]
pub(crate) struct Full;

impl<S: Signal> Queue<S> {
    /// Begins the task.
    pub(crate) fn start(transport: Transport) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let dropped = Arc::new(AtomicU64::new(0));
        let worker = Worker::<S> {
            transport,
            receiver,
            dropped: dropped.clone(),
        };
        // It ends with the queue, and nobody waits for it but `flush`.
        drop(tasks::spawn("telemetry", worker.run()));
        Self {
            sender,
            places: Arc::new(Semaphore::new(MAX_WAITING)),
            dropped,
        }
    }

    /// Never waits. `budget` is what the item's component may have waiting, in bytes.
    pub(crate) fn push(&self, item: S::Item, budget: &Arc<Semaphore>) -> Result<(), Full> {
        let bytes = item.encoded_len() + OVERHEAD;
        let message = u32::try_from(bytes).ok().and_then(|wanted| {
            let own = budget.clone().try_acquire_many_owned(wanted).ok()?;
            let shared = self.places.clone().try_acquire_many_owned(wanted).ok()?;
            Some(Message::Item {
                item,
                bytes,
                places: [own, shared],
            })
        });
        // The task runs as long as there is a queue.
        let sent = message.is_some_and(|message| self.sender.send(message).is_ok());
        if sent {
            Ok(())
        } else {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            Err(Full)
        }
    }

    /// Waits until what waits now was sent or given up.
    pub(crate) async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).is_ok() {
            // An error means that the task is gone, and the queue with it.
            let _ = wait.await;
        }
    }
}

struct Worker<S: Signal> {
    transport: Transport,
    receiver: mpsc::UnboundedReceiver<Message<S::Item>>,
    dropped: Arc<AtomicU64>,
}

struct Gathered<S: Signal> {
    batch: S::Batch,
    items: u64,
    bytes: usize,
    places: Vec<[OwnedSemaphorePermit; 2]>,
    flushed: Option<oneshot::Sender<()>>,
}

impl<S: Signal> Worker<S> {
    async fn run(mut self) {
        while let Some(first) = self.receiver.recv().await {
            let gathered = self.gather(first).await;
            if gathered.items > 0 {
                self.deliver(&gathered).await;
            }
            self.report();
            if let Some(done) = gathered.flushed {
                // Nobody may be waiting any more.
                let _ = done.send(());
            }
        }
    }

    async fn gather(&mut self, first: Message<S::Item>) -> Gathered<S> {
        let mut gathered = Gathered {
            batch: S::Batch::default(),
            items: 0,
            bytes: 0,
            places: Vec::new(),
            flushed: None,
        };
        gathered.add(first);
        let enough = tokio::time::sleep(GATHER_TIME);
        tokio::pin!(enough);
        while gathered.bytes < BATCH_BYTES && gathered.flushed.is_none() {
            tokio::select! {
                message = self.receiver.recv() => match message {
                    Some(message) => gathered.add(message),
                    None => break,
                },
                () = &mut enough => break,
            }
        }
        gathered
    }

    async fn deliver(&self, gathered: &Gathered<S>) {
        let mut delays = ExponentialBuilder::default()
            .with_jitter()
            .with_min_delay(FIRST_DELAY)
            .with_max_times(RETRIES)
            .build();
        let reason = loop {
            match self.transport.send::<S>(&gathered.batch).await {
                Ok(answer) => return self.accepted(answer),
                Err(SendError::Never(reason)) => break reason,
                Err(SendError::Later { reason, after }) => match delays.next() {
                    Some(delay) => tokio::time::sleep(after.unwrap_or(delay)).await,
                    None => break reason,
                },
            }
        };
        tracing::warn!(
            signal = S::NAME,
            items = gathered.items,
            reason,
            "telemetry could not be sent"
        );
    }

    fn accepted(&self, answer: S::Answer) {
        if let Some((rejected, reason)) = S::rejected(answer)
            && (rejected > 0 || !reason.is_empty())
        {
            tracing::warn!(
                signal = S::NAME,
                rejected,
                reason,
                "the collector did not take all telemetry"
            );
        }
    }

    fn report(&self) {
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(
                signal = S::NAME,
                dropped,
                "telemetry was dropped, as too much was waiting"
            );
        }
    }
}

impl<S: Signal> Gathered<S> {
    fn add(&mut self, message: Message<S::Item>) {
        match message {
            Message::Item { item, bytes, places } => {
                S::add(&mut self.batch, item);
                self.items += 1;
                self.bytes += bytes;
                self.places.push(places);
            }
            Message::Flush(done) => self.flushed = Some(done),
        }
    }
}

#[cfg(test)]
mod tests;
