//! A connection in the hands of one guest, from its `open` to its `close`.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, ready};

use futures::{Stream, StreamExt as _};
use tokio::runtime::Handle;
use tokio_postgres::RowStream;

use super::decode;
use super::encode::{Argument, arguments};
use super::error::Error;
use super::link::{Dialer, Link};
use super::pool::{Lease, Pool};
use super::value::{Column, Parameter, Row, RowSet, Value};
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};
use crate::tasks;

/// The client library's text for an answer in a protocol that it doesn't speak, such as `COPY`'s.
const UNEXPECTED_ANSWER: &str = "unexpected message from server";

/// Calls go to the server in the order of their beginnings. When the last handle is dropped the connection is cleaned and
/// goes back to its pool.
pub(super) struct Session {
    /// Taken by `drop`.
    held: Option<(Link, Lease)>,
    dialer: Arc<Dialer>,
    pool: Weak<Pool>,
    /// A call was dropped before its end: the server may still be at it.
    is_abandoned: AtomicBool,
    /// Requests and answers are out of step: the connection can't be used any more.
    is_broken: AtomicBool,
}

/// The rows of a query, as they come.
pub(super) struct Rows {
    pub(super) columns: Vec<Column>,
    /// Already read, to know the columns.
    first: Option<Result<Row, Error>>,
    rest: Pin<Box<RowStream>>,
    call: Call,
}

/// Notes a call that is dropped before its end.
struct Call {
    session: Arc<Session>,
    is_done: bool,
}

impl Session {
    pub(super) fn new(link: Link, lease: Lease, dialer: Arc<Dialer>, pool: Weak<Pool>) -> Self {
        Self {
            held: Some((link, lease)),
            dialer,
            pool,
            is_abandoned: AtomicBool::new(false),
            is_broken: AtomicBool::new(false),
        }
    }

    /// The number of rows that `statement` affected.
    pub(super) async fn execute(
        self: &Arc<Self>,
        statement: &str,
        parameters: Vec<Parameter>,
    ) -> Result<u64, Error> {
        let arguments = arguments(parameters).map_err(Error::ValueConversionFailed)?;
        let mut call = self.call();
        let affected = self.client()?.execute_raw(statement, arguments).await;
        call.is_done = true;
        affected.map_err(|error| self.failed(&error))
    }

    /// All rows. Without any there are no columns, as guests know it.
    pub(super) async fn query(
        self: &Arc<Self>,
        statement: &str,
        parameters: Vec<Parameter>,
    ) -> Result<RowSet, Error> {
        let mut rows = self.rows(statement, parameters).await?;
        let mut set = RowSet {
            columns: std::mem::take(&mut rows.columns),
            rows: Vec::new(),
        };
        let mut size = 0;
        while let Some(row) = rows.next().await {
            let row = row?;
            size += row_size(&row);
            if size > MAX_BUFFERED {
                return Err(Error::Other(TOO_LARGE.into()));
            }
            set.rows.push(row);
        }
        Ok(set)
    }

    /// The rows one after another. An error before the first is an error of the call.
    pub(super) async fn rows(
        self: &Arc<Self>,
        statement: &str,
        parameters: Vec<Parameter>,
    ) -> Result<Rows, Error> {
        let arguments = arguments(parameters).map_err(Error::BadParameter)?;
        let mut call = self.call();
        let stream = self.start(statement, arguments).await;
        let mut rest = match stream {
            Ok(stream) => Box::pin(stream),
            Err(error) => {
                call.is_done = true;
                return Err(error);
            }
        };
        let (columns, first) = match rest.next().await {
            Some(Ok(row)) => (decode::columns(row.columns()), Some(converted(&row))),
            Some(Err(error)) => {
                call.is_done = true;
                return Err(self.failed(&error));
            }
            None => {
                call.is_done = true;
                (Vec::new(), None)
            }
        };
        Ok(Rows {
            columns,
            first,
            rest,
            call,
        })
    }

    async fn start(&self, statement: &str, arguments: Vec<Argument>) -> Result<RowStream, Error> {
        self.client()?
            .query_raw(statement, arguments)
            .await
            .map_err(|error| self.failed(&error))
    }

    fn client(&self) -> Result<&tokio_postgres::Client, Error> {
        match &self.held {
            Some((link, _)) if !self.is_broken.load(Ordering::Relaxed) => Ok(link.client()),
            _ => Err(Error::ConnectionFailed("connection closed".into())),
        }
    }

    fn call(self: &Arc<Self>) -> Call {
        Call {
            session: self.clone(),
            is_done: false,
        }
    }

    fn failed(&self, error: &tokio_postgres::Error) -> Error {
        if error.to_string() == UNEXPECTED_ANSWER {
            self.is_broken.store(true, Ordering::Relaxed);
        }
        Error::of_query(error)
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some((link, lease)) = self.held.take() else {
            return;
        };
        if self.is_broken.load(Ordering::Relaxed) || Handle::try_current().is_err() {
            return link.abort();
        }
        if link.is_closed() {
            return;
        }
        let is_abandoned = self.is_abandoned.load(Ordering::Relaxed);
        let (dialer, pool) = (self.dialer.clone(), self.pool.clone());
        tasks::spawn(
            "postgres reset",
            give_back(link, lease, is_abandoned, dialer, pool),
        );
    }
}

/// Rolls back at once, not when the connection is next used: an open transaction holds locks.
async fn give_back(link: Link, lease: Lease, is_abandoned: bool, dialer: Arc<Dialer>, pool: Weak<Pool>) {
    if is_abandoned {
        dialer.cancel(&link).await;
    }
    if !link.reset().await {
        return link.abort();
    }
    if let Some(pool) = pool.upgrade() {
        pool.put(link, lease);
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.is_done {
            self.session.is_abandoned.store(true, Ordering::Relaxed);
        }
    }
}

impl Stream for Rows {
    type Item = Result<Row, Error>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if let Some(first) = self.first.take() {
            return Poll::Ready(Some(first));
        }
        if self.call.is_done {
            return Poll::Ready(None);
        }
        let row = ready!(self.rest.as_mut().poll_next(context));
        Poll::Ready(match row {
            Some(Ok(row)) => Some(converted(&row)),
            Some(Err(error)) => {
                self.call.is_done = true;
                Some(Err(self.call.session.failed(&error)))
            }
            None => {
                self.call.is_done = true;
                None
            }
        })
    }
}

/// A row that alone is too large is an error too.
fn converted(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let row = decode::row(row).map_err(|error| Error::ValueConversionFailed(error.to_string()))?;
    if row_size(&row) > MAX_BUFFERED {
        return Err(Error::Other(TOO_LARGE.into()));
    }
    Ok(row)
}

pub(super) fn row_size(row: &Row) -> usize {
    row.iter().map(Value::size).sum()
}
