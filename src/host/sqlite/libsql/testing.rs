//! A protocol double of a libSQL server: real HTTP, real Hrana, on a real SQLite database in a temporary file. It is not
//! libSQL: authorization is one token, a stream lives until it is closed or [`LibsqlDouble::expire_streams`] is called.
//!
//! `tests/support/libsql.rs` includes this file, too.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::Json;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use libsql_hrana::proto::{
    CloseStreamResp, Col, Error, ExecuteStreamResp, GetAutocommitStreamResp, PipelineReqBody,
    PipelineRespBody, Row, Stmt, StmtResult, StreamRequest, StreamResponse, StreamResult, Value,
};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, params_from_iter};
use tokio::sync::oneshot;

/// How long a statement of one stream waits for another's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Serves from its own thread until it is dropped.
pub(crate) struct LibsqlDouble {
    address: SocketAddr,
    server: Arc<Server>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

struct Server {
    directory: tempfile::TempDir,
    token: String,
    streams: Mutex<Streams>,
    requests: AtomicUsize,
}

#[derive(Default)]
struct Streams {
    /// By the only baton that each takes next.
    open: HashMap<String, Connection>,
    next_baton: u64,
}

impl LibsqlDouble {
    /// On a free port, with an empty database; requests must come with `token`.
    pub(crate) fn start(token: &str) -> Self {
        let server = Arc::new(Server {
            directory: tempfile::tempdir().unwrap(),
            token: token.into(),
            streams: Mutex::default(),
            requests: AtomicUsize::new(0),
        });
        let routes = axum::Router::new()
            .route("/v3/pipeline", post(pipeline))
            .layer(DefaultBodyLimit::disable())
            .with_state(server.clone());
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    served = async { axum::serve(listener, routes).await } => served.unwrap(),
                    _ = stopped => {}
                }
            });
        });
        Self {
            address,
            server,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    /// For the runtime configuration.
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Streams that clients have not closed.
    pub(crate) fn open_streams(&self) -> usize {
        self.server.streams().open.len()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.server.requests.load(Ordering::SeqCst)
    }

    /// What a server does with streams that are idle for too long.
    pub(crate) fn expire_streams(&self) {
        self.server.streams().open.clear();
    }
}

impl Drop for LibsqlDouble {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

impl Server {
    fn streams(&self) -> MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn connect(&self) -> Connection {
        let connection = Connection::open(self.directory.path().join("data.db")).unwrap();
        connection.busy_timeout(BUSY_TIMEOUT).unwrap();
        connection
    }
}

async fn pipeline(
    State(server): State<Arc<Server>>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Result<Json<PipelineRespBody>, Response> {
    server.requests.fetch_add(1, Ordering::SeqCst);
    let expected = format!("Bearer {}", server.token);
    if headers.get(header::AUTHORIZATION).map(|header| header.as_bytes()) != Some(expected.as_bytes()) {
        return Err(refuse(
            StatusCode::UNAUTHORIZED,
            "AUTH_JWT_INVALID",
            "the token is wrong",
        ));
    }
    let request: PipelineReqBody = serde_json::from_slice(&body)
        .map_err(|error| refuse(StatusCode::BAD_REQUEST, "INVALID_BODY", &error.to_string()))?;
    let connection = match &request.baton {
        None => server.connect(),
        Some(baton) => server.streams().open.remove(baton).ok_or_else(|| {
            let message = "The stream has expired due to inactivity";
            refuse(StatusCode::BAD_REQUEST, "STREAM_EXPIRED", message)
        })?,
    };
    let mut closed = false;
    let results = request.requests.into_iter().map(|request| {
        closed |= matches!(request, StreamRequest::Close(_));
        match answer(&connection, request) {
            Ok(response) => StreamResult::Ok { response },
            Err(error) => StreamResult::Error { error },
        }
    });
    let results = results.collect();
    let baton = (!closed).then(|| {
        let mut streams = server.streams();
        streams.next_baton += 1;
        let baton = format!("baton-{}", streams.next_baton);
        streams.open.insert(baton.clone(), connection);
        baton
    });
    Ok(Json(PipelineRespBody {
        baton,
        base_url: None,
        results,
    }))
}

fn answer(connection: &Connection, request: StreamRequest) -> Result<StreamResponse, Error> {
    Ok(match request {
        StreamRequest::Execute(request) => StreamResponse::Execute(ExecuteStreamResp {
            result: execute(connection, request.stmt).map_err(|error| Error {
                message: format!("SQLite error: {error}"),
                code: "SQLITE_ERROR".into(),
            })?,
        }),
        StreamRequest::GetAutocommit(_) => StreamResponse::GetAutocommit(GetAutocommitStreamResp {
            is_autocommit: connection.is_autocommit(),
        }),
        StreamRequest::Close(_) => StreamResponse::Close(CloseStreamResp {}),
        _ => {
            return Err(Error {
                message: "the double has no such request".into(),
                code: "UNSUPPORTED".into(),
            });
        }
    })
}

fn execute(connection: &Connection, request: Stmt) -> rusqlite::Result<StmtResult> {
    let mut statement = connection.prepare(&request.sql.unwrap_or_default())?;
    let names = statement.column_names();
    let cols: Vec<Col> = names
        .map(|name| Col {
            name: Some(name.into()),
            decltype: None,
        })
        .collect();
    let arguments = request.args.into_iter().map(|value| match value {
        Value::None | Value::Null => rusqlite::types::Value::Null,
        Value::Integer { value } => value.into(),
        Value::Float { value } => value.into(),
        Value::Text { value } => value.to_string().into(),
        Value::Blob { value } => value.to_vec().into(),
    });
    let mut found = statement.query(params_from_iter(arguments))?;
    let mut rows = Vec::new();
    while let Some(row) = found.next()? {
        let values = (0..cols.len()).map(|index| Ok(value(row.get_ref(index)?)));
        rows.push(Row {
            values: values.collect::<rusqlite::Result<_>>()?,
        });
    }
    drop(found);
    let affected_row_count = if statement.readonly() {
        0
    } else {
        connection.changes()
    };
    Ok(StmtResult {
        cols,
        rows,
        affected_row_count,
        last_insert_rowid: Some(connection.last_insert_rowid()),
        replication_index: None,
        rows_read: 0,
        rows_written: 0,
        query_duration_ms: 0.0,
    })
}

fn value(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Integer { value },
        ValueRef::Real(value) => Value::Float { value },
        ValueRef::Text(text) => Value::Text {
            value: String::from_utf8_lossy(text).into(),
        },
        ValueRef::Blob(blob) => Value::Blob {
            value: blob.to_vec().into(),
        },
    }
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let error = Error {
        message: message.into(),
        code: code.into(),
    };
    (status, Json(error)).into_response()
}
