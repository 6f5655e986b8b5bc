//! Loads of clients with one connection and one request in flight each: as fast as it goes, or at a rate.

use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::connection::{Connection, Question};
use super::pacer;
use super::precedence;
use super::runtime;
use super::seen::{Run, Seen};

/// What one client asks, one after the other. It keeps its connection for as long as the address stays the same.
pub type Questions = Box<dyn Iterator<Item = Question> + Send>;

/// The same question for ever, from so many clients.
pub fn same(question: &Question, clients: usize) -> Vec<Questions> {
    let questions = || Box::new(std::iter::repeat(question.clone())) as Questions;
    (0..clients).map(|_| questions()).collect()
}

/// When a load ends.
#[derive(Clone)]
pub enum Extent {
    Time(Duration),
    Requests(u64),
    /// When somebody says so.
    Until(Arc<AtomicBool>),
}

/// Asks as fast as it goes.
pub fn run(clients: Vec<Questions>, extent: &Extent) -> Run {
    runtime().block_on(async {
        let start = Instant::now();
        let more = More::new(extent, start);
        let clients = clients.into_iter().map(|questions| client(questions, &more));
        gather(start, join_all(clients).await)
    })
}

/// Asks `rate` times a second, no matter how fast it is answered. Latencies count from when a question was due. Clients
/// take turns.
pub fn run_paced(clients: Vec<Questions>, rate: f64, extent: &Extent) -> Run {
    let pace = || {
        precedence::take();
        let (send, due) = unbounded_channel();
        let due = Mutex::new(due);
        let start = Instant::now();
        let more = More::new(extent, start);
        let pacing = pacer::start(rate, send, move || more.take());
        let clients = clients.into_iter().map(|questions| paced_client(questions, &due));
        let seen = runtime().block_on(join_all(clients));
        pacing.join().expect("the clock does not panic");
        gather(start, seen)
    };
    std::thread::scope(|scope| scope.spawn(pace).join()).expect("clients do not panic")
}

fn gather(start: Instant, clients: Vec<Seen>) -> Run {
    let mut all = Seen::default();
    for seen in clients {
        all.add(seen);
    }
    Run {
        rate: all.latencies.len() as f64 / start.elapsed().as_secs_f64(),
        seen: all,
    }
}

/// Whether to ask once more.
enum More {
    Until(Instant),
    Left(Cell<u64>),
    UntilSaid(Arc<AtomicBool>),
}

impl More {
    fn new(extent: &Extent, start: Instant) -> Self {
        match extent {
            Extent::Time(time) => Self::Until(start + *time),
            Extent::Requests(count) => Self::Left(Cell::new(*count)),
            Extent::Until(said) => Self::UntilSaid(said.clone()),
        }
    }

    fn take(&self) -> bool {
        match self {
            Self::Until(end) => Instant::now() < *end,
            Self::Left(left) => {
                let before = left.get();
                left.set(before.saturating_sub(1));
                before > 0
            }
            Self::UntilSaid(said) => !said.load(Ordering::Relaxed),
        }
    }
}

async fn client(questions: Questions, more: &More) -> Seen {
    let mut client = Client::default();
    for question in questions.take_while(|_| more.take()) {
        client.ask(&question, Instant::now()).await;
    }
    client.seen
}

async fn paced_client(questions: Questions, due: &Mutex<UnboundedReceiver<Instant>>) -> Seen {
    let mut client = Client::default();
    for question in questions {
        let Some(due) = due.lock().await.recv().await else {
            break;
        };
        client.ask(&question, due).await;
    }
    client.seen
}

#[derive(Default)]
struct Client {
    seen: Seen,
    connection: Option<(SocketAddr, Connection)>,
}

impl Client {
    /// A server may close an idle connection at any time: then the question is asked once more, over a new one.
    async fn ask(&mut self, question: &Question, start: Instant) {
        let mut good = self.attempt(question).await;
        if good.is_none() {
            self.seen.retried += 1;
            good = self.attempt(question).await;
        }
        if good == Some(true) {
            self.seen
                .latencies
                .record(start.elapsed().as_micros() as u64)
                .expect("a histogram that grows");
        } else {
            self.seen.failed += 1;
        }
    }

    /// `None` when the connection that was kept is of no use any more.
    async fn attempt(&mut self, question: &Question) -> Option<bool> {
        let kept = self.connection.take();
        let mut connection = match kept.filter(|(address, _)| *address == question.address) {
            Some((_, connection)) => connection,
            None => match Connection::open(question.address).await {
                Ok(connection) => connection,
                Err(_) => return Some(false),
            },
        };
        match connection.ask(question).await {
            Ok(reply) => {
                let good = question.accepts(&reply);
                if !reply.closes && !question.anew {
                    self.connection = Some((question.address, connection));
                }
                Some(good)
            }
            Err(_) if connection.was_idle() => None,
            Err(_) => Some(false),
        }
    }
}

/// Keeps `requests` questions open until it is told to stop; what they come to does not matter.
pub fn keep_asking(question: &Question, requests: usize, stop: &AtomicBool) {
    runtime().block_on(async {
        let asking = async || {
            let mut client = Client::default();
            loop {
                let failed = client.seen.failed;
                client.ask(question, Instant::now()).await;
                if client.seen.failed > failed {
                    tokio::time::sleep(super::POLL).await;
                }
            }
        };
        let asking = join_all((0..requests).map(|_| asking()));
        let stopped = async {
            while !stop.load(Ordering::Relaxed) {
                tokio::time::sleep(super::POLL).await;
            }
        };
        tokio::select! {
            _ = asking => {}
            () = stopped => {}
        }
    });
}
