//! Statements, over a connection that nobody else uses.

use std::sync::Arc;

use mysql_async::prelude::Queryable;
use mysql_async::{BinaryProtocol, Conn, DriverError, Params};
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::address::Target;
use super::error::Error;
use super::live::Live;
use super::pool::Pool;
use super::state::has_state;
use super::value::{Column, Value, convert_row};
use crate::host::limits::MAX_BUFFERED;
use crate::net::Reusable;

/// A statement that runs.
pub(super) type QueryResult<'a> = mysql_async::QueryResult<'a, 'static, BinaryProtocol>;
/// The result of a query, held whole.
pub(super) type RowSet = (Vec<Column>, Vec<Vec<Value>>);

/// A connection in use; a new one takes its place when it is lost and had nothing that the new one lacks.
pub(in crate::host) struct Session {
    pool: Arc<Pool>,
    target: Arc<Target>,
    slot: Arc<Mutex<Slot>>,
}

/// What a session has while no statement runs.
pub(super) struct Slot {
    /// Nothing after it was lost, or while a statement runs whose end nobody waits for.
    live: Option<Live>,
    stateful: bool,
    pool: Arc<Pool>,
    target: Arc<Target>,
}

/// A connection while a statement runs. Dropped without [`InUse::done`], the connection is closed.
pub(super) struct InUse {
    slot: OwnedMutexGuard<Slot>,
    pub(super) live: Live,
}

impl Session {
    pub(super) fn new(pool: Arc<Pool>, target: Arc<Target>, live: Live) -> Self {
        let slot = Slot {
            live: Some(live),
            stateful: false,
            pool: pool.clone(),
            target: target.clone(),
        };
        Self {
            pool,
            target,
            slot: Arc::new(Mutex::new(slot)),
        }
    }

    /// The connection, for one statement; waits for the statement before it.
    pub(super) async fn begin(&self, statement: &str) -> Result<InUse, Error> {
        let mut slot = self.slot.clone().lock_owned().await;
        let has_state = has_state(statement);
        let live = match slot.live.take() {
            Some(live) => live,
            None if slot.stateful || has_state => {
                return Err(Error::QueryFailed(
                    "the connection was lost, and with it what earlier statements left in it".into(),
                ));
            }
            None => Live::connect(&self.pool, &self.target).await?,
        };
        slot.stateful |= has_state;
        Ok(InUse { slot, live })
    }

    /// Runs a statement whose rows, if any, don't matter.
    pub(super) async fn execute(&self, statement: &str, parameters: Vec<Value>) -> Result<(), Error> {
        let mut in_use = self.begin(statement).await?;
        let result = match start(&mut in_use.live.connection, statement, parameters).await {
            Ok(result) => result.drop_result().await,
            Err(error) => Err(error),
        };
        in_use.done();
        result.map_err(|error| Error::executing(&error))
    }

    /// Runs a statement and holds its rows.
    pub(super) async fn query(&self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, Error> {
        let mut in_use = self.begin(statement).await?;
        let result = in_use.query(statement, parameters).await;
        in_use.done();
        result
    }
}

impl InUse {
    async fn query(&mut self, statement: &str, parameters: Vec<Value>) -> Result<RowSet, Error> {
        let mut result = start(&mut self.live.connection, statement, parameters)
            .await
            .map_err(|error| Error::executing(&error))?;
        let columns = Column::of(result.columns_ref());
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(row) = result.next().await.map_err(|error| Error::reading(&error))? {
            let (row, size) = convert_row(row, &columns)?;
            bytes += size;
            if bytes > MAX_BUFFERED {
                return Err(Error::too_large());
            }
            rows.push(row);
        }
        Ok((columns, rows))
    }

    /// The connection can take another statement, or is known to be lost. Rows that were not read are skipped then.
    pub(super) fn done(self) {
        let Self { mut slot, live } = self;
        if !live.ended() {
            slot.live = Some(live);
        }
    }
}

/// The last to have the session gives its connection back: a handle, or rows that are still read.
impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(live) = self.live.take() {
            live.give_back(self.pool.clone(), self.target.clone());
        }
    }
}

/// Begins a statement, whose rows are still to be read.
pub(super) async fn start<'a>(
    connection: &'a mut Conn,
    statement: &str,
    parameters: Vec<Value>,
) -> mysql_async::Result<QueryResult<'a>> {
    let prepared = connection.prep(statement).await?;
    let (required, supplied) = (prepared.num_params(), parameters.len());
    if usize::from(required) != supplied {
        // The library would say the same, and close the connection.
        return Err(DriverError::StmtParamsMismatch { required, supplied }.into());
    }
    let parameters = match supplied {
        0 => Params::Empty,
        _ => Params::Positional(parameters.into_iter().map(Into::into).collect()),
    };
    connection.exec_iter(prepared, parameters).await
}
