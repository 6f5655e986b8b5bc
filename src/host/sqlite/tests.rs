use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::{Semaphore, mpsc, oneshot};
use wasmtime::component::{Resource, Source, StreamConsumer, StreamResult};
use wasmtime::{Config, Engine, Store, StoreContextMut};
use wasmtime_wasi_http::WasiHttpHooks;

use super::bindings::fermyon::spin::sqlite as v1_types;
use super::bindings::fermyon::spin2_0_0::sqlite as v2_types;
use super::bindings::spin::sqlite::sqlite as v3_types;
use super::connection::{Error, RowResult, Value};
use super::instance::OpenConnection;
use super::*;
use crate::app::{Component, ComponentMetadata};
use crate::host::OutboundPermission;
use crate::net::{ConnectionLimits, Outbound};
use crate::runtime::{InstanceSettings, Interfaces};
use crate::runtime_config::RuntimeConfig;
use crate::variables::{Secret, Variables};
use v3_types::{HostConnection as _, HostConnectionWithStore};

type Latest = HasSelf<HostState>;

async fn prepare(
    labels: &[&str],
    config: &RuntimeConfig,
    state_dir: &Path,
) -> Result<Sqlite, InterfaceError> {
    let component = serde_json::json!({"id": "notes", "source": {}});
    let component: Component = serde_json::from_value(component).unwrap();
    let metadata = ComponentMetadata {
        databases: labels.iter().map(|&label| label.into()).collect(),
        ..ComponentMetadata::default()
    };
    let app: Arc<str> = "app".into();
    let variables = Arc::new(Variables::new(BTreeMap::new(), Vec::new()));
    let permission = OutboundPermission::new(app.clone(), "notes".into(), &[], Vec::new(), variables.clone());
    let context = ComponentContext {
        state_quota: None,
        app: &app,
        component: &component,
        metadata: &metadata,
        variables: &variables,
        permission: &Arc::new(permission.unwrap()),
        outbound: &Arc::new(Outbound::new(Vec::new(), ConnectionLimits::default())),
        config,
        state_dir,
    };
    Sqlite::of(&context, &SqliteBackends::default()).await
}

struct NoHttp;

type Sent = Result<
    (
        http::Response<wasmtime_wasi_http::WasiBody>,
        Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ),
    wasmtime_wasi_http::Error,
>;

impl WasiHttpHooks for NoHttp {
    fn send_request(
        &mut self,
        _: http::Request<wasmtime_wasi_http::WasiBody>,
        _: Option<wasmtime_wasi_http::RequestOptions>,
        _: Box<dyn Future<Output = Result<(), wasmtime_wasi_http::Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        unreachable!("nothing here sends requests")
    }
}

fn instance(sqlite: Sqlite) -> HostState {
    let mut interfaces = Interfaces::default();
    interfaces.insert(sqlite);
    let settings = InstanceSettings {
        app: "app".into(),
        component: "notes".into(),
        environment: Vec::new(),
        files: None,
        places: Arc::new(Semaphore::new(1)),
        interfaces: Arc::new(interfaces),
        log: None,
        limits: crate::runtime::InstanceLimits::default(),
    };
    HostState::new(&Arc::new(settings), Box::new(NoHttp)).unwrap()
}

fn in_memory(label: &str) -> RuntimeConfig {
    let database = SqliteDatabase::Spin {
        path: None,
        allow_attach_file: false,
    };
    RuntimeConfig {
        sqlite_databases: BTreeMap::from([(label.into(), database)]),
        ..RuntimeConfig::default()
    }
}

async fn with_memory() -> HostState {
    let config = in_memory("notes");
    instance(prepare(&["notes"], &config, Path::new("/nowhere")).await.unwrap())
}

#[tokio::test]
async fn the_default_database_is_spins_file_in_the_state_directory() {
    let directory = tempfile::tempdir().unwrap();
    let config = RuntimeConfig::default();
    let sqlite = prepare(&["default"], &config, directory.path()).await.unwrap();
    let connection = sqlite.database("default").unwrap().connect();
    testing::execute(&*connection, "CREATE TABLE t (a)")
        .await
        .unwrap();
    assert!(directory.path().join("sqlite_db.db").exists());
}

#[tokio::test]
async fn a_label_that_nothing_is_behind_is_an_error_at_load() {
    let config = RuntimeConfig::default();
    let error = prepare(&["default", "notes"], &config, Path::new("/"))
        .await
        .err()
        .unwrap();
    assert_eq!(
        error.to_string(),
        "the component `notes`: unknown sqlite_databases label \"notes\"; define it as [sqlite_database.notes] in the \
         runtime configuration"
    );
}

#[tokio::test]
async fn a_libsql_url_that_is_none_is_an_error_at_load_without_the_token() {
    let database = SqliteDatabase::Libsql {
        url: "db.example.org".into(),
        token: Secret::new("s3cret"),
    };
    let config = RuntimeConfig {
        sqlite_databases: BTreeMap::from([("notes".into(), database)]),
        ..RuntimeConfig::default()
    };
    let error = prepare(&["notes"], &config, Path::new("/")).await.err().unwrap();
    let text = format!("{error} {error:?}");
    assert!(text.contains("the url of a libsql database is not one"), "{text}");
    assert!(!text.contains("s3cret"), "{text}");
}

#[tokio::test]
async fn a_label_that_is_not_listed_is_denied_even_if_it_is_the_default() {
    let mut state = with_memory().await;
    for label in ["default", "", "other"] {
        let opened = v3_types::HostConnection::open(&mut state, label.into())
            .await
            .unwrap();
        assert!(matches!(opened, Err(Error::AccessDenied)));
        let opened = v2_types::HostConnection::open(&mut state, label.into())
            .await
            .unwrap();
        assert!(matches!(opened, Err(v2_types::Error::AccessDenied)));
        let opened = v1_types::Host::open(&mut state, label.into()).await.unwrap();
        assert!(matches!(opened, Err(v1_types::Error::AccessDenied)));
    }
}

#[tokio::test]
async fn an_instance_may_have_256_connections_of_all_versions() {
    let mut state = with_memory().await;
    let mut latest = Vec::new();
    for _ in 0..MAX_CONNECTIONS - 1 {
        latest.push(state.open("notes".into()).await.unwrap().unwrap());
    }
    let number = v1_types::Host::open(&mut state, "notes".into())
        .await
        .unwrap()
        .unwrap();
    let more = state.open("notes".into()).await.unwrap();
    assert!(matches!(more, Err(Error::Io(text)) if text == "too many connections opened"));
    v1_types::Host::close(&mut state, number).await.unwrap();
    latest.push(state.open("notes".into()).await.unwrap().unwrap());
    let more = v1_types::Host::open(&mut state, "notes".into()).await.unwrap();
    assert!(matches!(more, Err(v1_types::Error::Io(text)) if text == "too many connections opened"));
    v3_types::HostConnection::drop(&mut state, latest.remove(0))
        .await
        .unwrap();
    v1_types::Host::open(&mut state, "notes".into())
        .await
        .unwrap()
        .unwrap();
}

#[tokio::test]
async fn numbered_connections_are_invalid_after_their_close() {
    let mut state = with_memory().await;
    let number = v1_types::Host::open(&mut state, "notes".into())
        .await
        .unwrap()
        .unwrap();
    let select = |number| (number, "SELECT 'x' AS a".to_owned(), Vec::new());
    let (connection, sql, parameters) = select(number);
    let result = v1_types::Host::execute(&mut state, connection, sql, parameters)
        .await
        .unwrap();
    let result = result.unwrap();
    assert_eq!(result.columns, ["a"]);
    assert!(matches!(&result.rows[0].values[0], v1_types::Value::Text(text) if text == "x"));
    for _ in 0..2 {
        v1_types::Host::close(&mut state, number).await.unwrap();
    }
    let (connection, sql, parameters) = select(number);
    let result = v1_types::Host::execute(&mut state, connection, sql, parameters)
        .await
        .unwrap();
    assert!(matches!(result, Err(v1_types::Error::InvalidConnection)));
}

#[tokio::test]
async fn the_versions_share_their_semantics() {
    let mut state = with_memory().await;
    let connection = v2_types::HostConnection::open(&mut state, "notes".into())
        .await
        .unwrap()
        .unwrap();
    let values = vec![
        v2_types::Value::Integer(-1),
        v2_types::Value::Real(0.5),
        v2_types::Value::Blob(vec![1]),
        v2_types::Value::Null,
    ];
    let borrowed = Resource::new_borrow(connection.rep());
    let sql = "SELECT ?, ?, ?, ?".into();
    let result = v2_types::HostConnection::execute(&mut state, borrowed, sql, values.clone()).await;
    let result = result.unwrap().unwrap();
    assert_eq!(format!("{:?}", result.rows[0].values), format!("{values:?}"));
    let error = v2_types::HostConnection::execute(&mut state, connection, "SELEC 1".into(), Vec::new()).await;
    assert!(matches!(
        error.unwrap(),
        Err(v2_types::Error::Io(text)) if text == "near \"SELEC\": syntax error in SELEC 1 at offset 0"
    ));
}

#[tokio::test]
async fn changes_of_a_handle_that_is_not_one_traps() {
    let mut state = with_memory().await;
    assert!(state.changes(Resource::new_borrow(7)).await.is_err());
    assert!(state.last_insert_rowid(Resource::new_borrow(7)).await.is_err());
}

/// Sends on what a stream brings.
struct Collect(mpsc::UnboundedSender<RowResult>);

impl StreamConsumer<HostState> for Collect {
    type Item = RowResult;

    fn poll_consume(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        mut source: Source<'_, RowResult>,
        _: bool,
    ) -> Poll<wasmtime::Result<StreamResult>> {
        let mut rows = Vec::with_capacity(10);
        source.read(store, &mut rows)?;
        for row in rows {
            // The test has seen enough.
            let _ = self.0.send(row);
        }
        Poll::Ready(Ok(StreamResult::Completed))
    }
}

/// Sends on what a future brings.
struct End(Option<oneshot::Sender<Result<(), Error>>>);

impl wasmtime::component::FutureConsumer<HostState> for End {
    type Item = Result<(), Error>;

    fn poll_consume(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        store: StoreContextMut<HostState>,
        mut source: Source<'_, Result<(), Error>>,
        _: bool,
    ) -> Poll<wasmtime::Result<()>> {
        let mut end = None;
        source.read(store, &mut end)?;
        if let (Some(sender), Some(end)) = (self.0.take(), end) {
            // The test has seen enough.
            let _ = sender.send(end);
        }
        Poll::Ready(Ok(()))
    }
}

/// Runs `sql` by the streaming call: its columns, its rows if they are to be read, its end.
async fn stream(sql: &str, read: bool) -> (Vec<String>, Vec<RowResult>, Result<(), Error>) {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    let mut store = Store::new(&Engine::new(&config).unwrap(), with_memory().await);
    let streamed = store.run_concurrent(async |accessor| {
        let connection: Resource<OpenConnection> =
            <Latest as HostConnectionWithStore<HostState>>::open_async(accessor, "notes".into()).await??;
        let (columns, rows, end) = <Latest as HostConnectionWithStore<HostState>>::execute_async(
            accessor,
            connection,
            sql.into(),
            Vec::new(),
        )
        .await??;
        let (row_sender, mut row_receiver) = mpsc::unbounded_channel();
        let (end_sender, end_receiver) = oneshot::channel();
        let unread = accessor.with(|mut access| {
            end.pipe(&mut access, End(Some(end_sender)))?;
            if read {
                rows.pipe(&mut access, Collect(row_sender))?;
                return wasmtime::error::Ok(None);
            }
            Ok(Some(rows))
        })?;
        let end = end_receiver.await?;
        let mut collected = Vec::new();
        if let Some(mut unread) = unread {
            accessor.with(|access| unread.close(access))?;
        } else {
            while let Some(row) = row_receiver.recv().await {
                collected.push(row);
            }
        }
        wasmtime::error::Ok((columns, collected, end))
    });
    streamed.await.unwrap().unwrap()
}

#[tokio::test]
async fn a_stream_brings_all_rows_and_the_future_its_end() {
    let sql = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000) SELECT i FROM n";
    let (columns, rows, end) = stream(sql, true).await;
    assert_eq!(columns, ["i"]);
    let numbers: Vec<i64> = rows
        .iter()
        .map(|row| match row.values[..] {
            [Value::Integer(number)] => number,
            _ => panic!("not a number"),
        })
        .collect();
    assert_eq!(numbers, (1..=1000).collect::<Vec<_>>());
    assert!(end.is_ok());
}

#[tokio::test]
async fn the_future_has_an_error_of_the_text_and_an_error_of_a_row() {
    let (columns, rows, end) = stream("SELECT * FROM t", true).await;
    assert!(columns.is_empty() && rows.is_empty());
    assert!(matches!(end, Err(Error::Io(text)) if text == "no such table: t"));
    let (columns, rows, end) = stream(
        "SELECT abs(column1) FROM (VALUES (1), (-9223372036854775807 - 1))",
        true,
    )
    .await;
    assert_eq!((columns.len(), rows.len()), (1, 1));
    assert!(matches!(end, Err(Error::Io(text)) if text == "integer overflow"));
}

#[tokio::test]
async fn the_end_of_a_short_statement_is_known_without_reading_its_rows() {
    let (columns, _, end) = stream("CREATE TABLE t (a)", false).await;
    assert!(columns.is_empty() && end.is_ok());
}
