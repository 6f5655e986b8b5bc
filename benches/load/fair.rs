//! What an app that burns the processor does to others: a small app's latencies with such a neighbour and without.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::json;

use crate::app::App;
use crate::client::{self, Extent, Load, Question, Run};
use crate::stock::Stock;

const CONNECTIONS: usize = 4;
/// Questions a second that the small app gets: it has nearly nothing to do.
const RATE: f64 = 200.0;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
const BURNING: [usize; 2] = [1, 64];
/// Until what was lit burns, and until what was put out is cold.
const SETTLE: Duration = Duration::from_millis(500);

/// How the neighbour burns.
struct Fire {
    name: &'static str,
    /// See `tests/guests`.
    guest: &'static str,
    path: &'static str,
}

const FIRES: [Fire; 3] = [
    // Requests that never end.
    Fire {
        name: "endless",
        guest: "probe",
        path: "/spin",
    },
    // The same, of `wasi:http` 0.3, whose instances others share.
    Fire {
        name: "endless3",
        guest: "probe3",
        path: "/spin",
    },
    // Requests that take some tens of milliseconds each, one after the other.
    Fire {
        name: "short",
        guest: "probe",
        path: "/alloc?mb=64",
    },
];

pub fn run(stock: &Stock) {
    let daemon = stock.home().start();
    let quiet = stock.app();
    daemon.home().write("quiet", &quiet.json());
    client::wait_for_200(quiet.address);
    let burning = ["probe", "probe3"].map(|guest| {
        let app = App::new(&stock.guest(guest, json!({})));
        daemon.home().write(guest, &app.json());
        client::wait_for_answer(app.address);
        (guest, app.address)
    });
    let burning = HashMap::from(burning);
    round(quiet.address);

    let mut alone = Load::default();
    let mut beside: Vec<_> = FIRES
        .iter()
        .flat_map(|fire| BURNING.map(|requests| (fire, requests, Load::default())))
        .collect();
    for _ in 0..ROUNDS {
        alone.add(round(quiet.address));
        for (fire, requests, load) in &mut beside {
            let lit = Lit::new(burning[fire.guest], fire, *requests);
            load.add(round(quiet.address));
            lit.put_out();
        }
    }
    alone.print("fair.quiet");
    for (fire, requests, load) in &beside {
        let name = format!("fair.{}.{requests}", fire.name);
        load.print(&name);
        let ratio = load.microseconds(0.99) as f64 / alone.microseconds(0.99) as f64;
        println!("{name}.ratio.p99_to_quiet: {ratio:.2}");
    }
}

fn round(address: SocketAddr) -> Run {
    let clients = client::same(&Question::root(address), CONNECTIONS);
    client::run_paced(clients, RATE, &Extent::Time(ROUND))
}

/// Requests that burn, as many at a time as were wanted.
struct Lit {
    out: Arc<AtomicBool>,
    thread: std::thread::JoinHandle<()>,
}

impl Lit {
    fn new(address: SocketAddr, fire: &'static Fire, requests: usize) -> Self {
        let out = Arc::<AtomicBool>::default();
        let told = out.clone();
        let question = Question::get(address, fire.path);
        let thread = std::thread::spawn(move || client::keep_asking(&question, requests, &told));
        // Until they all burn.
        std::thread::sleep(SETTLE);
        Self { out, thread }
    }

    /// Ends when the guests have been told that nobody waits for them.
    fn put_out(self) {
        self.out.store(true, Ordering::Relaxed);
        self.thread.join().expect("a load does not panic");
        std::thread::sleep(SETTLE);
    }
}
