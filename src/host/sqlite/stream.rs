//! Rows on their way to a guest that reads them one by one.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::StreamExt as _;
use futures::stream::BoxStream;
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use super::connection::{Batch, Error, RowResult, Rows};

/// How a statement ended, for the future beside the stream.
pub(super) type Ended = oneshot::Receiver<Result<(), Error>>;

/// The producing end of a statement's rows. Dropping it, which the guest does by dropping the stream, ends the statement.
pub(super) struct RowProducer {
    /// Rows that came with the statement's beginning.
    first: Vec<RowResult>,
    rest: BoxStream<'static, Batch>,
    /// None once it has been told.
    ended: Option<oneshot::Sender<Result<(), Error>>>,
}

impl RowProducer {
    /// The columns, the rows and the end. The end of a statement that is over already is known at once, whether or not
    /// anyone reads its rows.
    pub(super) fn new(rows: Rows) -> (Vec<String>, Self, Ended) {
        let (sender, ended) = oneshot::channel();
        let mut producer = Self {
            first: rows.first.rows,
            rest: rows.rest,
            ended: Some(sender),
        };
        if let Some(end) = rows.first.end {
            producer.end(end);
        }
        (rows.columns, producer, ended)
    }

    fn end(&mut self, end: Result<(), Error>) {
        if let Some(ended) = self.ended.take() {
            // A guest that does not care has dropped the future.
            let _ = ended.send(end);
        }
    }

    fn result(&self) -> StreamResult {
        if self.ended.is_some() {
            StreamResult::Completed
        } else {
            StreamResult::Dropped
        }
    }
}

impl<D> StreamProducer<D> for RowProducer {
    type Item = RowResult;
    type Buffer = VecBuffer<RowResult>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        if destination.remaining(&mut store) == Some(0) {
            // A guest that asks whether there is something to read is told so when it reads.
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let first = std::mem::take(&mut self.first);
        if !first.is_empty() {
            destination.set_buffer(first.into());
            return Poll::Ready(Ok(self.result()));
        }
        while self.ended.is_some() {
            let batch = match self.rest.poll_next_unpin(cx) {
                Poll::Ready(batch) => batch,
                // What is being fetched stays here for the next read.
                Poll::Pending if finish => return Poll::Ready(Ok(StreamResult::Cancelled)),
                Poll::Pending => return Poll::Pending,
            };
            let Batch { rows, end } = batch.unwrap_or(Batch {
                rows: Vec::new(),
                end: Some(Ok(())),
            });
            if let Some(end) = end {
                self.end(end);
            }
            if !rows.is_empty() {
                destination.set_buffer(rows.into());
                return Poll::Ready(Ok(self.result()));
            }
        }
        Poll::Ready(Ok(StreamResult::Dropped))
    }
}

impl Drop for RowProducer {
    fn drop(&mut self) {
        // The guest has what it wanted.
        self.end(Ok(()));
    }
}
