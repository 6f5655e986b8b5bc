//! The `async` functions of `spin:postgres/postgres@4.2.0`. They run beside each other: nothing of the instance is held
//! while they wait.

use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use tokio::sync::oneshot;
use wasmtime::StoreContextMut;
use wasmtime::component::{
    Accessor, Destination, FutureReader, HasSelf, Resource, StreamProducer, StreamReader, StreamResult,
    VecBuffer,
};

use super::bindings::spin::postgres4_2_0::postgres as wit;
use super::convert::parameters;
use super::error::Error;
use super::handles::{self, Connection, ConnectionBuilder, Opening};
use super::session::row_size;
use super::value::Row;
use crate::runtime::HostState;

/// Rows that are handed over in one go, if they are there: numbers of them, and bytes.
const MAX_BATCH: usize = 64;
const MAX_BATCH_SIZE: usize = 1 << 20;

type Own = HasSelf<HostState>;

impl wit::HostConnectionBuilderWithStore<HostState> for Own {
    async fn build_async(
        accessor: &Accessor<HostState, Self>,
        builder: Resource<ConnectionBuilder>,
    ) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
        let opening = accessor.with(|mut access| Opening::of_builder(access.get(), &builder))?;
        open(accessor, opening).await
    }
}

impl wit::HostConnectionWithStore<HostState> for Own {
    async fn open_async(
        accessor: &Accessor<HostState, Self>,
        address: String,
    ) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
        let opening = accessor.with(|mut access| Opening::of_address(access.get(), address))?;
        open(accessor, opening).await
    }

    async fn query_async(
        accessor: &Accessor<HostState, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<
        Result<
            (
                Vec<wit::Column>,
                StreamReader<wit::Row>,
                FutureReader<Result<(), wit::Error>>,
            ),
            wit::Error,
        >,
    > {
        let session = accessor.with(|mut access| handles::session(access.get(), &connection))?;
        let rows = async { session.rows(&statement, parameters(params)?).await };
        let mut rows = match rows.await {
            Ok(rows) => rows,
            Err(error) => return Ok(Err(error.into())),
        };
        let columns = std::mem::take(&mut rows.columns);
        let columns = columns.into_iter().map(Into::into).collect();
        let (sender, receiver) = oneshot::channel();
        // A guest that drops the stream before its end hears of no error.
        let end = async move { wasmtime::error::Ok(receiver.await.unwrap_or(Ok(()))) };
        accessor.with(|mut access| {
            let rows = StreamReader::new(
                &mut access,
                RowProducer {
                    rows,
                    end: Some(sender),
                },
            )?;
            let end = FutureReader::new(&mut access, end)?;
            Ok(Ok((columns, rows, end)))
        })
    }

    async fn execute_async(
        accessor: &Accessor<HostState, Self>,
        connection: Resource<Connection>,
        statement: String,
        params: Vec<wit::ParameterValue>,
    ) -> wasmtime::Result<Result<u64, wit::Error>> {
        let session = accessor.with(|mut access| handles::session(access.get(), &connection))?;
        let affected = async { session.execute(&statement, parameters(params)?).await };
        Ok(affected.await.map_err(Into::into))
    }
}

async fn open(
    accessor: &Accessor<HostState, Own>,
    opening: Opening,
) -> wasmtime::Result<Result<Resource<Connection>, wit::Error>> {
    match opening.open().await {
        Ok(connection) => accessor.with(|mut access| Ok(Ok(access.get().table().push(connection)?))),
        Err(error) => Ok(Err(error.into())),
    }
}

/// Gives the guest what the server has sent; the server is read no faster than the guest reads.
struct RowProducer<R> {
    rows: R,
    end: Option<oneshot::Sender<Result<(), wit::Error>>>,
}

impl<R> RowProducer<R> {
    fn finish(&mut self, result: Result<(), Error>) {
        if let Some(end) = self.end.take() {
            // The guest may have dropped the future.
            let _ = end.send(result.map_err(Into::into));
        }
    }
}

impl<D, R> StreamProducer<D> for RowProducer<R>
where
    R: Stream<Item = Result<Row, Error>> + Unpin + Send + 'static,
{
    type Item = wit::Row;
    type Buffer = VecBuffer<wit::Row>;

    fn poll_produce<'a>(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut store: StoreContextMut<'a, D>,
        mut destination: Destination<'a, Self::Item, Self::Buffer>,
        finish: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let wanted = destination
            .remaining(&mut store)
            .unwrap_or(MAX_BATCH)
            .min(MAX_BATCH);
        // Nothing is read for a guest that only asks whether there is something.
        if wanted == 0 {
            return Poll::Ready(Ok(StreamResult::Completed));
        }
        let mut batch: Vec<wit::Row> = Vec::new();
        let mut size = 0;
        let result = loop {
            match Pin::new(&mut self.rows).poll_next(context) {
                Poll::Ready(Some(Ok(next))) => {
                    size += row_size(&next);
                    batch.push(next.into_iter().map(Into::into).collect());
                    if batch.len() == wanted || size >= MAX_BATCH_SIZE {
                        break StreamResult::Completed;
                    }
                }
                Poll::Ready(Some(Err(error))) => {
                    self.finish(Err(error));
                    break StreamResult::Dropped;
                }
                Poll::Ready(None) => {
                    self.finish(Ok(()));
                    break StreamResult::Dropped;
                }
                Poll::Pending if !batch.is_empty() => break StreamResult::Completed,
                Poll::Pending if finish => break StreamResult::Cancelled,
                Poll::Pending => return Poll::Pending,
            }
        };
        if !batch.is_empty() {
            destination.set_buffer(batch.into());
        }
        Poll::Ready(Ok(result))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use futures::stream;
    use wasmtime::component::{Source, StreamConsumer};
    use wasmtime::{Engine, Store};

    use super::super::value::Value;
    use super::*;

    type Seen = Arc<Mutex<Vec<wit::Row>>>;

    struct Reader(Seen);

    impl<D> StreamConsumer<D> for Reader {
        type Item = wit::Row;

        fn poll_consume(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            store: StoreContextMut<'_, D>,
            mut source: Source<'_, wit::Row>,
            _: bool,
        ) -> Poll<wasmtime::Result<StreamResult>> {
            let mut rows = Vec::with_capacity(7);
            source.read(store, &mut rows)?;
            self.0.lock().unwrap().extend(rows);
            Poll::Ready(Ok(StreamResult::Completed))
        }
    }

    /// What a reader sees of `rows`, and what it is told at their end.
    async fn read(rows: Vec<Result<Row, Error>>) -> (Vec<wit::Row>, Result<(), wit::Error>) {
        let mut store = Store::new(&Engine::default(), ());
        let seen = Seen::default();
        let (sender, receiver) = oneshot::channel();
        let producer = RowProducer {
            rows: stream::iter(rows),
            end: Some(sender),
        };
        let reader = StreamReader::new(&mut store, producer).unwrap();
        reader.pipe(&mut store, Reader(seen.clone())).unwrap();
        let end = store
            .run_concurrent(async |_| receiver.await.unwrap())
            .await
            .unwrap();
        // The last rows come with the end.
        store
            .run_concurrent(async |_| tokio::task::yield_now().await)
            .await
            .unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        (seen, end)
    }

    fn rows(count: i32) -> Vec<Result<Row, Error>> {
        (0..count).map(|number| Ok(vec![Value::Int32(number)])).collect()
    }

    fn numbers(rows: &[wit::Row]) -> Vec<i32> {
        let number = |row: &wit::Row| match row[..] {
            [wit::DbValue::Int32(number)] => number,
            _ => panic!("another row"),
        };
        rows.iter().map(number).collect()
    }

    #[tokio::test]
    async fn all_rows_arrive_in_order_and_the_end_is_told() {
        for count in [0, 1, 63, 64, 65, 1000] {
            let (seen, end) = read(rows(count)).await;
            assert_eq!(numbers(&seen), (0..count).collect::<Vec<_>>());
            assert!(matches!(end, Ok(())));
        }
    }

    #[tokio::test]
    async fn an_error_is_told_behind_the_rows_before_it() {
        let mut broken = rows(100);
        broken.insert(70, Err(Error::Other("broken".into())));
        let (seen, end) = read(broken).await;
        assert_eq!(numbers(&seen), (0..70).collect::<Vec<_>>());
        assert!(matches!(end, Err(wit::Error::Other(text)) if text == "broken"));
    }
}
