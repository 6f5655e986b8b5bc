//! A closed loop of keep-alive connections, each with one request in flight.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Significant figures kept of each latency.
const PRECISION: u8 = 3;
/// Pause between two attempts while waiting for a server.
const POLL: Duration = Duration::from_micros(200);
const PATIENCE: Duration = Duration::from_secs(60);

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

    pub fn microseconds(&self, quantile: f64) -> u64 {
        self.latencies.value_at_quantile(quantile)
    }
}

fn histogram() -> Histogram<u64> {
    Histogram::new(PRECISION).expect("a precision within bounds")
}

/// Asks `address` over `connections` connections for as long as `time`.
pub fn run(address: SocketAddr, connections: usize, time: Duration) -> Run {
    runtime().block_on(async {
        let start = Instant::now();
        let clients = (0..connections).map(|_| tokio::spawn(client(address, start + time)));
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
    })
}

async fn client(address: SocketAddr, end: Instant) -> (Histogram<u64>, u64) {
    let mut latencies = histogram();
    let mut failed = 0;
    let mut connection = None;
    while Instant::now() < end {
        let start = Instant::now();
        match ask(address, &mut connection).await {
            Some(StatusCode::OK) => {
                latencies
                    .record(start.elapsed().as_micros() as u64)
                    .expect("a histogram that grows");
            }
            _ => {
                failed += 1;
                connection = None;
            }
        }
    }
    (latencies, failed)
}

type Connection = SendRequest<Empty<Bytes>>;

async fn ask(address: SocketAddr, connection: &mut Option<Connection>) -> Option<StatusCode> {
    let sender = match connection {
        Some(sender) => sender,
        None => connection.insert(connect(address).await?),
    };
    sender.ready().await.ok()?;
    let request = Request::get("/")
        .header("host", address.to_string())
        .body(Empty::new())
        .ok()?;
    let response = sender.send_request(request).await.ok()?;
    let status = response.status();
    response.into_body().collect().await.ok()?;
    Some(status)
}

async fn connect(address: SocketAddr) -> Option<Connection> {
    let stream = TcpStream::connect(address).await.ok()?;
    stream.set_nodelay(true).ok()?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    tokio::spawn(connection);
    Some(sender)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
}

/// Returns when `address` has answered 200.
pub fn wait_for_200(address: SocketAddr) {
    wait(address, |status| status == Some(StatusCode::OK));
}

/// Returns when nothing listens on `address` any more.
pub fn wait_for_refusal(address: SocketAddr) {
    wait(address, |status| status.is_none());
}

fn wait(address: SocketAddr, done: impl Fn(Option<StatusCode>) -> bool) {
    runtime().block_on(async {
        let start = Instant::now();
        while !done(ask(address, &mut None).await) {
            assert!(
                start.elapsed() < PATIENCE,
                "{address} did not change within {PATIENCE:?}"
            );
            tokio::time::sleep(POLL).await;
        }
    });
}
