//! Rows that the guest reads while the server sends them.

use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use tokio::sync::{mpsc, oneshot};
use wasmtime::StoreContextMut;
use wasmtime::component::{Destination, StreamProducer, StreamResult, VecBuffer};

use super::error::Error;
use super::session::{InUse, QueryResult, Session, start};
use super::value::{Column, Value, convert_row};
use crate::host::limits::MAX_BUFFERED;

/// Rows are handed over when they take so much memory, or when the server makes one wait.
const BATCH_BYTES: usize = 64 * 1024;

type Batch = Vec<Vec<Value>>;

/// A query whose columns are known.
pub(super) struct Streamed {
    pub(super) columns: Vec<Column>,
    pub(super) rows: mpsc::Receiver<Batch>,
    /// Ready when the rows have ended; gone when nobody read them to their end.
    pub(super) end: oneshot::Receiver<Result<(), Error>>,
}

impl Session {
    /// Runs a statement; its rows come as they are read. The connection is in use until then.
    pub(super) async fn stream(&self, statement: String, parameters: Vec<Value>) -> Result<Streamed, Error> {
        let in_use = self.begin(&statement).await?;
        let (head, columns) = oneshot::channel();
        let (sender, rows) = mpsc::channel(1);
        let (ended, end) = oneshot::channel();
        crate::tasks::spawn("mysql rows", async move {
            let out = Out { head, rows: sender };
            let end = in_use.run(&statement, parameters, out).await;
            // Nobody need be there.
            let _ = ended.send(end);
        });
        // The task sends something, or panics.
        let columns = columns
            .await
            .unwrap_or_else(|_| Err(Error::Other("the query was not run to its end".into())))?;
        Ok(Streamed { columns, rows, end })
    }
}

/// Where a running statement tells what it has.
struct Out {
    head: oneshot::Sender<Result<Vec<Column>, Error>>,
    rows: mpsc::Sender<Batch>,
}

impl InUse {
    /// Ends when all rows are read, or when nobody wants them any more.
    async fn run(mut self, statement: &str, parameters: Vec<Value>, mut out: Out) -> Result<(), Error> {
        let executed = tokio::select! {
            executed = start(&mut self.live.connection, statement, parameters) => executed,
            // The instance is gone; its connection can't be used before the statement has ended.
            () = out.head.closed() => return Ok(()),
        };
        let mut result = match executed {
            Ok(result) => result,
            Err(error) => {
                let error = Error::executing(&error);
                self.done();
                // Nobody need be there.
                let _ = out.head.send(Err(error.clone()));
                return Err(error);
            }
        };
        let columns = Column::of(result.columns_ref());
        // Nobody need be there.
        let _ = out.head.send(Ok(columns.clone()));
        let rows = Rows {
            columns,
            batch: Vec::new(),
            bytes: 0,
            out: out.rows,
        };
        let end = rows.forward(&mut result).await;
        drop(result);
        self.done();
        end
    }
}

struct Rows {
    columns: Vec<Column>,
    batch: Batch,
    /// What is in the batch.
    bytes: usize,
    out: mpsc::Sender<Batch>,
}

impl Rows {
    async fn forward(mut self, result: &mut QueryResult<'_>) -> Result<(), Error> {
        while let Some(row) = self.next(result).await? {
            let (row, size) = match convert_row(row, &self.columns) {
                Ok(converted) => converted,
                Err(error) => {
                    self.flush().await;
                    return Err(error);
                }
            };
            if size > MAX_BUFFERED {
                return Err(Error::too_large());
            }
            self.batch.push(row);
            self.bytes += size;
            if self.bytes > BATCH_BYTES && !self.flush().await {
                return Ok(());
            }
        }
        self.flush().await;
        Ok(())
    }

    /// Nothing at the end, and when nobody wants more.
    async fn next(&mut self, result: &mut QueryResult<'_>) -> Result<Option<mysql_async::Row>, Error> {
        let mut next = pin!(result.next());
        let row = match futures::poll!(next.as_mut()) {
            Poll::Ready(row) => row,
            Poll::Pending => {
                if !self.flush().await {
                    return Ok(None);
                }
                tokio::select! {
                    row = next => row,
                    () = self.out.closed() => return Ok(None),
                }
            }
        };
        match row {
            Ok(row) => Ok(row),
            Err(error) => {
                self.flush().await;
                Err(Error::reading(&error))
            }
        }
    }

    /// Whether somebody is there to have it.
    async fn flush(&mut self) -> bool {
        self.bytes = 0;
        if self.batch.is_empty() {
            return !self.out.is_closed();
        }
        self.out.send(std::mem::take(&mut self.batch)).await.is_ok()
    }
}

/// The stream that a guest reads; `R` is a row as its version of the interface has it.
pub(super) struct Producer<R> {
    rows: mpsc::Receiver<Batch>,
    convert: fn(Vec<Value>) -> R,
}

impl<R> Producer<R> {
    pub(super) fn new(rows: mpsc::Receiver<Batch>, convert: fn(Vec<Value>) -> R) -> Self {
        Self { rows, convert }
    }
}

impl<D, R: Send + Sync + 'static> StreamProducer<D> for Producer<R> {
    type Item = R;
    type Buffer = VecBuffer<R>;

    fn poll_produce<'a>(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _: StoreContextMut<'a, D>,
        mut destination: Destination<'a, R, VecBuffer<R>>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let this = self.get_mut();
        match this.rows.poll_recv(cx) {
            Poll::Ready(Some(batch)) => {
                let rows: Vec<R> = batch.into_iter().map(this.convert).collect();
                destination.set_buffer(rows.into());
                Poll::Ready(Ok(StreamResult::Completed))
            }
            Poll::Ready(None) => Poll::Ready(Ok(StreamResult::Dropped)),
            Poll::Pending if finish => Poll::Ready(Ok(StreamResult::Cancelled)),
            Poll::Pending => Poll::Pending,
        }
    }
}
