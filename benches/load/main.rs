//! Measures the whole daemon beside its peers, in one run, and prints a `name: value` line for each figure.
//!
//! ```text
//! cargo bench --bench load                     # everything
//! cargo bench --bench load -- requests         # only what contains the word: requests, deploy, memory, state, fair
//! TAUON=path cargo bench --bench load          # another build of tauon, by default this one
//! STATE_INSERTS=360000 STATE_REQUESTS=1000000 cargo bench --bench load -- state      # an hour: see the README
//! WASMTIME=path cargo bench --bench load       # `wasmtime serve` from there; by default from PATH, or not at all
//! ```
//!
//! Peers take turns, round by round, so that a machine whose speed drifts does so for all of them.

mod artifact;
mod daemon;
mod fair;
mod generator;
mod peers;
mod state;

use std::time::{Duration, Instant};

use daemon::Daemon;
use generator::{Extent, Load, ROOT};
use peers::Peer;

const CONNECTIONS: [usize; 3] = [1, 16, 64];
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const WARM_UP: Duration = Duration::from_millis(500);
const DEPLOYMENTS: usize = 50;
const IDLE_APPS: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    if let [flag] = &*arguments
        && flag == peers::BARE_FLAG
    {
        return peers::serve_bare();
    }
    let wanted =
        |name: &str| arguments.is_empty() || arguments.iter().any(|argument| name.contains(&**argument));
    if wanted("requests") {
        requests();
    }
    if wanted("deploy") {
        deploy();
    }
    if wanted("memory") {
        memory();
    }
    if wanted("state") {
        state::run();
    }
    if wanted("fair") {
        fair::run();
    }
}

fn requests() {
    let peers = Peer::all();
    for connections in CONNECTIONS {
        let mut loads: Vec<Load> = peers.iter().map(|_| Load::default()).collect();
        for peer in &peers {
            generator::run(peer.address, &ROOT, connections, &Extent::Time(WARM_UP));
        }
        for _ in 0..ROUNDS {
            for (peer, load) in peers.iter().zip(&mut loads) {
                load.add(generator::run(
                    peer.address,
                    &ROOT,
                    connections,
                    &Extent::Time(ROUND),
                ));
            }
        }
        for (peer, load) in peers.iter().zip(&loads) {
            let name = format!("requests.{}.{connections}", peer.name);
            println!("{name}.per_second: {:.0}", load.median_rate());
            for (label, quantile) in [("p50", 0.5), ("p99", 0.99), ("p99_9", 0.999)] {
                println!("{name}.{label}_us: {}", load.microseconds(quantile));
            }
            println!("{name}.failed: {}", load.failed);
        }
        let tauon = loads[0].median_rate();
        for (peer, load) in peers.iter().zip(&loads).skip(1) {
            let ratio = tauon / load.median_rate();
            println!("requests.ratio.tauon_to_{}.{connections}: {ratio:.3}", peer.name);
        }
    }
}

/// From the rename into the directory to the first 200, with content and code cached.
fn deploy() {
    let daemon = Daemon::start();
    let app = daemon.app();
    daemon.write("warm", &app.json);
    generator::wait_for_200(app.address);
    daemon.remove("warm");
    let mut times: Vec<Duration> = (0..DEPLOYMENTS)
        .map(|_| {
            let app = daemon.app();
            let staged = daemon.stage(&app.json);
            let start = Instant::now();
            daemon.rename_into_place(&staged, "app");
            generator::wait_for_200(app.address);
            let time = start.elapsed();
            daemon.remove("app");
            generator::wait_for_refusal(app.address);
            time
        })
        .collect();
    times.sort();
    for (label, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let index = ((times.len() - 1) as f64 * quantile).round() as usize;
        println!(
            "deploy.cached.{label}_ms: {:.2}",
            times[index].as_secs_f64() * 1e3
        );
    }
}

/// Resident memory that an idle app adds, as the mean of many that share one component.
fn memory() {
    let daemon = Daemon::start();
    let first = daemon.app();
    daemon.write("first", &first.json);
    generator::wait_for_200(first.address);
    let before = daemon.resident_kib();
    let apps: Vec<_> = (0..IDLE_APPS).map(|_| daemon.app()).collect();
    for (index, app) in apps.iter().enumerate() {
        daemon.write(&format!("idle-{index}"), &app.json);
    }
    for app in &apps {
        generator::wait_for_200(app.address);
    }
    let after = daemon.resident_kib();
    println!("memory.daemon_with_one_app_kib: {before}");
    println!(
        "memory.idle_app_kib: {:.1}",
        (after.saturating_sub(before)) as f64 / IDLE_APPS as f64
    );
}
