//! Measures the whole daemon beside its peers, in one run, and prints a `name: value` line for each figure. What each
//! figure means and has to be stands in `docs/performance.md`.
//!
//! ```text
//! cargo bench --bench load                     # everything: more than an hour
//! cargo bench --bench load -- requests wave    # only what contains one of the words: see `MEASUREMENTS`
//! TAUON=path cargo bench --bench load          # another build of tauon, by default this one
//! TAUON_BEFORE=path cargo bench --bench load   # an earlier build as one more peer
//! WASMTIME=path cargo bench --bench load       # wasmtime from there; by default from PATH, or not at all
//! SPIN=path cargo bench --bench load           # `spin up` too
//! APPS=1000 cargo bench --bench load -- many   # fewer apps than ten thousand
//! PLOTS=docs/performance cargo bench --bench load -- curves                     # plots drawn there
//! STATE_INSERTS=360000 STATE_REQUESTS=1000000 cargo bench --bench load -- state # an hour: see the README
//! ```
//!
//! Peers take turns, round by round, so that a machine whose speed drifts does so for all of them.

mod address;
mod addresses;
mod app;
mod artifact;
mod client;
mod curves;
mod daemon;
mod deploy;
mod deploy_new;
mod fair;
mod fleet;
mod instructions;
mod many;
mod peers;
mod plot;
mod process;
mod registry;
mod report;
mod requests;
mod setting;
mod slow;
mod state;
mod stock;
mod tail;
mod wave;
mod wrk;
mod zipf;

use artifact::Hello;
use fleet::Components;
use stock::Stock;

type Measurement = fn(&str, &Stock);

/// In the order in which they run; each is told its own name.
const MEASUREMENTS: [(&str, Measurement); 16] = [
    ("requests", |name, stock| requests::run(name, stock, Hello::Small)),
    ("requests-rust", |name, stock| {
        requests::run(name, stock, Hello::Rust)
    }),
    ("requests-p3", |name, stock| requests::run(name, stock, Hello::P3)),
    ("tail", tail::run),
    ("deploy", deploy::run),
    ("deploy-new", deploy_new::run),
    ("many-different", |name, stock| {
        many::run(name, stock, Components::Different);
    }),
    ("many-same", |name, stock| {
        many::run(name, stock, Components::Same)
    }),
    ("zipf", zipf::run),
    ("curves", curves::run),
    ("wave", wave::run),
    ("slow", slow::run),
    ("addresses", addresses::run),
    ("fair", |_, stock| fair::run(stock)),
    ("state", |_, stock| state::run(stock)),
    // The last: what is started after it has a filter for system calls.
    ("instructions", instructions::run),
];

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
    let stock = Stock::new();
    for (name, measure) in MEASUREMENTS {
        if arguments.is_empty() || arguments.iter().any(|argument| name.contains(&**argument)) {
            measure(name, &stock);
        }
    }
}
