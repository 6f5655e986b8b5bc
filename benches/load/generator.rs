//! Loads of keep-alive connections, each with one request in flight: as fast as it goes, or at a rate; for a time, or for a
//! number of requests.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::sync::mpsc::UnboundedReceiver;

/// Significant figures kept of each latency.
const PRECISION: u8 = 3;
/// Pause between two attempts while waiting for a server.
const POLL: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(60);

/// What is asked: GET without a body, POST with one.
#[derive(Clone)]
pub struct Question {
    pub path: &'static str,
    pub body: Bytes,
    /// Whether the body of an answer with status 200 tells no error.
    pub is_good: fn(&[u8]) -> bool,
}

/// The page at the root.
pub const ROOT: Question = Question {
    path: "/",
    body: Bytes::new(),
    is_good: |_| true,
};

/// When a load ends.
#[derive(Clone)]
pub enum Extent {
    Time(Duration),
    Requests(u64),
}

/// What one run saw.
pub struct Run {
    rate: f64,
    latencies: Histogram<u64>,
    failed: u64,
}

/// What several runs saw.
pub struct Load {
    rates: Vec<f64>,
    latencies: Histogram<u64>,
    pub failed: u64,
}

impl Default for Load {
    fn default() -> Self {
        Self {
            rates: Vec::new(),
            latencies: histogram(),
            failed: 0,
        }
    }
}

impl Load {
    pub fn add(&mut self, run: Run) {
        self.rates.push(run.rate);
        self.latencies
            .add(run.latencies)
            .expect("histograms of one shape");
        self.failed += run.failed;
    }

    pub fn median_rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    }

    /// Requests that were answered.
    pub fn answered(&self) -> u64 {
        self.latencies.len()
    }

    /// At the quantile, of which 1 is the longest.
    pub fn microseconds(&self, quantile: f64) -> u64 {
        self.latencies.value_at_quantile(quantile)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(PRECISION).expect("a precision within bounds")
}

/// Asks `address` over `connections` connections.
pub fn run(address: SocketAddr, question: &Question, connections: usize, extent: &Extent) -> Run {
    runtime().block_on(async {
        let start = Instant::now();
        let more = Arc::new(match extent {
            Extent::Time(time) => More::Until(start + *time),
            Extent::Requests(count) => More::Left(AtomicU64::new(*count)),
        });
        let clients = (0..connections).map(|_| tokio::spawn(client(address, question.clone(), more.clone())));
        gather(start, clients).await
    })
}

/// Whether a client is to ask once more.
enum More {
    Until(Instant),
    Left(AtomicU64),
}

impl More {
    fn take(&self) -> bool {
        match self {
            Self::Until(end) => Instant::now() < *end,
            Self::Left(left) => left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_ok(),
        }
    }
}

/// Asks `address` `count` times, `rate` a second, no matter how fast they are answered. Latencies count from when a
/// question was due.
pub fn run_paced(address: SocketAddr, question: &Question, connections: usize, rate: u32, count: u64) -> Run {
    runtime().block_on(async {
        let (due, questions) = tokio::sync::mpsc::unbounded_channel();
        let questions = Arc::new(Mutex::new(questions));
        let start = Instant::now();
        let clients = (0..connections)
            .map(|_| tokio::spawn(paced_client(address, question.clone(), questions.clone())));
        let clients: Vec<_> = clients.collect();
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / rate);
        for _ in 0..count {
            // When it was due, which may be a while ago.
            let tick = ticks.tick().await;
            due.send(tick.into_std()).expect("clients that wait");
        }
        drop(due);
        gather(start, clients).await
    })
}

type Client = tokio::task::JoinHandle<(Histogram<u64>, u64)>;

async fn gather(start: Instant, clients: impl IntoIterator<Item = Client>) -> Run {
    let mut latencies = histogram();
    let mut failed = 0;
    for client in futures::future::join_all(clients).await {
        let (seen, failures) = client.expect("a client does not panic");
        latencies.add(seen).expect("histograms of one shape");
        failed += failures;
    }
    Run {
        rate: latencies.len() as f64 / start.elapsed().as_secs_f64(),
        latencies,
        failed,
    }
}

async fn client(address: SocketAddr, question: Question, more: Arc<More>) -> (Histogram<u64>, u64) {
    let mut seen = Seen::default();
    while more.take() {
        seen.ask(address, &question, Instant::now()).await;
    }
    (seen.latencies, seen.failed)
}

async fn paced_client(
    address: SocketAddr,
    question: Question,
    due: Arc<Mutex<UnboundedReceiver<Instant>>>,
) -> (Histogram<u64>, u64) {
    let mut seen = Seen::default();
    loop {
        let Some(due) = due.lock().await.recv().await else {
            return (seen.latencies, seen.failed);
        };
        seen.ask(address, &question, due).await;
    }
}

/// What one connection saw.
struct Seen {
    latencies: Histogram<u64>,
    failed: u64,
    connection: Option<Connection>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            latencies: histogram(),
            failed: 0,
            connection: None,
        }
    }
}

impl Seen {
    async fn ask(&mut self, address: SocketAddr, question: &Question, start: Instant) {
        match ask(address, question, &mut self.connection).await {
            Some((StatusCode::OK, body)) if (question.is_good)(&body) => {
                self.latencies
                    .record(start.elapsed().as_micros() as u64)
                    .expect("a histogram that grows");
            }
            Some(_) => self.failed += 1,
            None => {
                self.failed += 1;
                self.connection = None;
            }
        }
    }
}

type Connection = SendRequest<Full<Bytes>>;

async fn ask(
    address: SocketAddr,
    question: &Question,
    connection: &mut Option<Connection>,
) -> Option<(StatusCode, Bytes)> {
    let sender = match connection {
        Some(sender) => sender,
        None => connection.insert(connect(address).await?),
    };
    sender.ready().await.ok()?;
    let method = if question.body.is_empty() { "GET" } else { "POST" };
    let request = Request::builder()
        .method(method)
        .uri(question.path)
        .header("host", address.to_string())
        .body(Full::new(question.body.clone()))
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let status = response.status();
    let body = response.into_body().collect().await.ok()?;
    Some((status, body.to_bytes()))
}

async fn connect(address: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

/// Keeps `requests` questions open at `address` until it is told to stop; what they come to does not matter.
pub fn keep_asking(address: SocketAddr, question: &Question, requests: usize, stop: &AtomicBool) {
    runtime().block_on(async {
        let asking = async || {
            let mut connection = None;
            loop {
                if ask(address, question, &mut connection).await.is_none() {
                    connection = None;
                    tokio::time::sleep(POLL).await;
                }
            }
        };
        let asking = futures::future::join_all((0..requests).map(|_| asking()));
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(POLL).await;
            }
        };
        tokio::select! {
            _ = asking => {}
            () = stopped => {}
        }
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// The body of one answer, which is a good one.
pub fn answer(address: SocketAddr, question: &Question) -> Bytes {
    let answer = runtime().block_on(ask(address, question, &mut None));
    let (status, body) = answer.expect("a server that answers");
    assert!(
        status == StatusCode::OK && (question.is_good)(&body),
        "{status}: {body:?}"
    );
    body
}

/// Returns when `address` has answered 200.
pub fn wait_for_200(address: SocketAddr) {
    wait(address, |status| status == Some(StatusCode::OK));
}

/// Returns when `address` has answered, whatever it was.
pub fn wait_for_answer(address: SocketAddr) {
    wait(address, |status| status.is_some());
}

/// Returns when nothing listens on `address` any more.
pub fn wait_for_refusal(address: SocketAddr) {
    wait(address, |status| status.is_none());
}

fn wait(address: SocketAddr, done: impl Fn(Option<StatusCode>) -> bool) {
    runtime().block_on(async {
        let start = Instant::now();
        while !done(ask(address, &ROOT, &mut None).await.map(|(status, _)| status)) {
            assert!(
                start.elapsed() < PATIENCE,
                "{address} did not change within {PATIENCE:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    });
}
