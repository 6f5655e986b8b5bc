//! Databases behind a libSQL server, by Hrana over HTTP: JSON to `/v3/pipeline`.

mod pipeline;
#[cfg(test)]
mod testing;
mod value;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use libsql_hrana::proto::{
    CloseStreamReq, ExecuteStreamReq, GetAutocommitStreamReq, Stmt, StmtResult, StreamRequest,
    StreamResponse, StreamResult,
};
use reqwest::Url;
use reqwest::header::HeaderValue;
use tokio::sync::Mutex;

use super::connection::{Connection, Database, Error, QueryResult, Rows, Value, io};
use crate::variables::Secret;
use pipeline::{Failure, Server};

/// For a server that is not there at all. How long a statement may take is the instance's affair.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Sooner than servers and the proxies before them usually give up an idle connection.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// A client for all libSQL servers, or for those on this machine, which no proxy is asked for.
pub(super) fn client(loopback: bool) -> reqwest::Result<reqwest::Client> {
    let tls = crate::net::tls_client_config();
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured((*tls).clone())
        .connect_timeout(CONNECT_TIMEOUT)
        .pool_idle_timeout(IDLE_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none())
        .user_agent(concat!("lepton/", env!("CARGO_PKG_VERSION")));
    if loopback { builder.no_proxy() } else { builder }.build()
}

/// Reads the `url` of a database. Errors with what is wrong.
pub(super) fn address(url: &str) -> Result<Url, String> {
    let wrong =
        |reason: &str| format!("the url of a libsql database {reason}; write https://HOST or http://HOST");
    // The scheme that libSQL's own tools print means https.
    let url = match url.strip_prefix("libsql://") {
        Some(rest) => format!("https://{rest}"),
        None => url.to_owned(),
    };
    let url = Url::parse(&url).map_err(|error| wrong(&format!("is not one ({error})")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(&format!("has the scheme `{}`", url.scheme())));
    }
    Ok(url)
}

/// Whether `url` is on this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

pub(super) struct LibsqlDatabase {
    server: Arc<Server>,
}

impl LibsqlDatabase {
    /// Errors with what is wrong with the token.
    pub(super) fn new(client: reqwest::Client, url: &Url, token: &Secret) -> Result<Self, String> {
        let authorization = match token.expose() {
            "" => None,
            token => {
                let header = HeaderValue::from_str(&format!("Bearer {token}"));
                let mut header = header
                    .map_err(|_| "the token of a libsql database can't be sent: it has control characters")?;
                header.set_sensitive(true);
                Some(header)
            }
        };
        Ok(Self {
            server: Arc::new(Server::new(client, url, authorization)),
        })
    }
}

impl Database for LibsqlDatabase {
    fn connect(&self) -> Arc<dyn Connection> {
        Arc::new(LibsqlConnection {
            server: self.server.clone(),
            stream: Mutex::new(Stream::Fresh),
            changes: AtomicU64::new(0),
            last_insert_rowid: AtomicI64::new(0),
        })
    }
}

struct LibsqlConnection {
    server: Arc<Server>,
    /// One request at a time: the next one needs the baton that the last one brought.
    stream: Mutex<Stream>,
    changes: AtomicU64,
    last_insert_rowid: AtomicI64,
}

/// The server's side of a connection.
#[derive(Default)]
enum Stream {
    /// The next request begins one.
    #[default]
    Fresh,
    Open {
        position: pipeline::Position,
        /// No transaction is under way, so that another stream is as good as this one.
        autocommit: bool,
    },
    /// A request was given up halfway inside a transaction, which is gone.
    Lost,
}

impl LibsqlConnection {
    async fn run(&self, statement: Stmt) -> Result<StmtResult, Error> {
        let mut stream = self.stream.lock().await;
        let (position, autocommit) = match std::mem::take(&mut *stream) {
            Stream::Fresh => (None, true),
            Stream::Open { position, autocommit } => (Some(position), autocommit),
            Stream::Lost => return Err(transaction_lost()),
        };
        // What the connection is in when this future is dropped before the reply.
        *stream = if autocommit { Stream::Fresh } else { Stream::Lost };
        let resumed = position.is_some();
        let mut sent = self.server.send(position, requests(statement.clone())).await;
        if matches!(sent, Err(Failure::Expired(_))) && resumed && autocommit {
            // Idle for too long, as far as the server is concerned. Nothing was run, and nothing was lost with it.
            sent = self.server.send(None, requests(statement)).await;
        }
        // The guest hears of the failure now, once.
        *stream = Stream::Fresh;
        let (position, results) = sent.map_err(Failure::into_error)?;
        let [executed, state] = <[StreamResult; 2]>::try_from(results).map_err(|_| unexpected())?;
        if let Some(position) = position {
            let autocommit = match state {
                StreamResult::Ok {
                    response: StreamResponse::GetAutocommit(state),
                } => state.is_autocommit,
                // Taken as inside a transaction, which is the careful way.
                _ => false,
            };
            *stream = Stream::Open { position, autocommit };
        }
        match executed {
            StreamResult::Ok {
                response: StreamResponse::Execute(executed),
            } => Ok(executed.result),
            StreamResult::Error { error } => Err(io(error.message)),
            _ => Err(unexpected()),
        }
    }
}

fn requests(stmt: Stmt) -> Vec<StreamRequest> {
    vec![
        StreamRequest::Execute(ExecuteStreamReq { stmt }),
        StreamRequest::GetAutocommit(GetAutocommitStreamReq {}),
    ]
}

#[async_trait]
impl Connection for LibsqlConnection {
    async fn execute(&self, sql: String, parameters: Vec<Value>) -> Result<QueryResult, Error> {
        let mut statement = Stmt::new(sql, true);
        for parameter in parameters {
            statement.bind(value::to_server(parameter)?);
        }
        let result = self.run(statement).await?;
        self.changes.store(result.affected_row_count, Ordering::Relaxed);
        if let Some(rowid) = result.last_insert_rowid {
            self.last_insert_rowid.store(rowid, Ordering::Relaxed);
        }
        value::from_server(result)
    }

    /// The protocol's reply has all rows at once.
    async fn query(&self, sql: String, parameters: Vec<Value>) -> Rows {
        Rows::complete(self.execute(sql, parameters).await)
    }

    async fn changes(&self) -> Result<u64, Error> {
        Ok(self.changes.load(Ordering::Relaxed))
    }

    async fn last_insert_rowid(&self) -> Result<i64, Error> {
        Ok(self.last_insert_rowid.load(Ordering::Relaxed))
    }
}

impl Drop for LibsqlConnection {
    /// Tells the server, which would otherwise keep the stream, and a transaction's locks, until it expires.
    fn drop(&mut self) {
        let Stream::Open { position, .. } = std::mem::take(self.stream.get_mut()) else {
            return;
        };
        // Without a runtime the process is ending.
        if tokio::runtime::Handle::try_current().is_err() {
            return;
        }
        let server = self.server.clone();
        crate::tasks::spawn("libsql close", async move {
            let close = vec![StreamRequest::Close(CloseStreamReq {})];
            if let Err(failure) = server.send(Some(position), close).await {
                let error = failure.into_error();
                tracing::debug!(%error, "a libSQL stream can't be closed; the server will");
            }
        });
    }
}

fn transaction_lost() -> Error {
    io("the transaction was lost: a statement in it was given up before the libSQL server's reply")
}

fn unexpected() -> Error {
    io("the libSQL server's reply does not answer the request")
}

#[cfg(test)]
mod tests;
