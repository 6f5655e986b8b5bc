//! A constant load, to find what a change of apps does to clients: kept connections, new ones, and streams.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use http::Method;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::client::{Connection, Result, empty, request};

/// When one request began, and the version that answered it, or why none did.
#[derive(Clone)]
pub struct Outcome {
    client: &'static str,
    began: Instant,
    version: Result<String>,
}

/// A load under way. Clients ask the probe guests for `/version`, and for `/stream`.
pub struct Load {
    stop: Arc<AtomicBool>,
    clients: JoinSet<Vec<Outcome>>,
}

impl Load {
    /// `each` clients of each kind.
    pub fn start(address: SocketAddr, each: usize) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut clients = JoinSet::new();
        for _ in 0..each {
            clients.spawn(client("kept", address, stop.clone(), kept));
            clients.spawn(client("kept h2", address, stop.clone(), kept_h2));
            clients.spawn(client("new", address, stop.clone(), new));
            clients.spawn(client("stream", address, stop.clone(), stream));
        }
        Self { stop, clients }
    }

    /// Ends it after the requests in flight.
    pub async fn stop(self) -> Vec<Outcome> {
        self.stop.store(true, Ordering::Relaxed);
        self.clients.join_all().await.concat()
    }
}

/// What went wrong for whom.
pub fn failures(outcomes: &[Outcome]) -> Vec<String> {
    outcomes
        .iter()
        .filter(|outcome| outcome.version.is_err())
        .map(Outcome::describe)
        .collect()
}

/// From when on nobody may be answered by an older version than this one.
pub struct Swapped {
    pub at: Instant,
    pub version: usize,
}

/// Who was answered by an older version than the last that was swapped in before they asked.
pub fn stale(outcomes: &[Outcome], swaps: &[Swapped]) -> Vec<String> {
    let is_stale = |outcome: &&Outcome| {
        let known = swaps.iter().rev().find(|swap| swap.at <= outcome.began);
        let answered = outcome
            .version
            .as_ref()
            .ok()
            .and_then(|version| version.parse::<usize>().ok());
        known.is_some_and(|swap| answered.is_none_or(|version| version < swap.version))
    };
    outcomes.iter().filter(is_stale).map(Outcome::describe).collect()
}

impl Outcome {
    fn describe(&self) -> String {
        format!("{}: {:?}", self.client, self.version)
    }
}

async fn client(
    name: &'static str,
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    ask: impl AsyncFn(SocketAddr, &mut Option<Connection>) -> Result<String>,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut connection = None;
    while !stop.load(Ordering::Relaxed) {
        let began = Instant::now();
        let version = ask(address, &mut connection).await;
        outcomes.push(Outcome {
            client: name,
            began,
            version,
        });
    }
    outcomes
}

async fn kept(address: SocketAddr, connection: &mut Option<Connection>) -> Result<String> {
    if connection.as_ref().is_none_or(|connection| !connection.is_open()) {
        *connection = Some(Connection::open(address).await?);
    }
    version(connection.as_mut().expect("it was just opened")).await
}

async fn kept_h2(address: SocketAddr, connection: &mut Option<Connection>) -> Result<String> {
    if connection.as_ref().is_none_or(|connection| !connection.is_open()) {
        *connection = Some(Connection::open_h2(address).await?);
    }
    version(connection.as_mut().expect("it was just opened")).await
}

async fn new(address: SocketAddr, _: &mut Option<Connection>) -> Result<String> {
    version(&mut Connection::open(address).await?).await
}

/// Five lines of one version: a stream that changed its version on the way would be a failure.
async fn stream(address: SocketAddr, _: &mut Option<Connection>) -> Result<String> {
    const CHUNKS: usize = 5;
    let mut connection = Connection::open(address).await?;
    let path = format!("/stream?n={CHUNKS}&ms=20");
    let reply = connection.send(request(Method::GET, &path, empty())).await?;
    let version = reply.header("x-version").unwrap_or_default().to_string();
    let expected: String = (0..CHUNKS)
        .map(|n| format!("chunk {n} of version {version}\n"))
        .collect();
    if reply.text() == expected {
        Ok(version)
    } else {
        Err(format!("a stream broke off: {:?}", reply.text()))
    }
}

async fn version(connection: &mut Connection) -> Result<String> {
    let reply = connection.get("/version").await?;
    if reply.status.is_success() {
        Ok(reply.text().into())
    } else {
        Err(reply.status.to_string())
    }
}
