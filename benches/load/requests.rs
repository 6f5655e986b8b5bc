//! How many requests a second, each by a fresh instance where the generation of the guest has it so.

use crate::artifact::Hello;
use crate::peers::{Peer, WASMTIME_SERVE};
use crate::stock::Stock;
use crate::{report, wrk};

const ROUNDS: usize = 5;
const SECONDS: u64 = 3;
const WARM_UP_SECONDS: u64 = 1;

/// What the host adds to each request by Spin's contract, and the request's name: a guest that looks at its headers has to be given each
/// of them. A peer that is asked with them gives its guests as much.
const ADDED: [&str; 8] = [
    "spin-full-url: http://127.0.0.1:50000/",
    "spin-base-path: /",
    "spin-path-info: /",
    "spin-matched-route: /...",
    "spin-raw-component-route: /...",
    "spin-component-route: ",
    "spin-client-addr: 127.0.0.1:50001",
    "x-request-id: 0b0f7f5e-2bd1-4c0a-9d3e-1f2e3d4c5b6a",
];

pub fn run(name: &str, stock: &Stock, hello: Hello) {
    let peers = Peer::all(stock, hello);
    let mut asked: Vec<(String, _, &[&str])> = Vec::new();
    for peer in &peers {
        asked.push((peer.name.to_owned(), peer.address, &[]));
        // It runs the same guests, and adds nothing.
        if peer.name == WASMTIME_SERVE {
            asked.push((format!("{WASMTIME_SERVE}_with_headers"), peer.address, &ADDED));
        }
    }
    if asked
        .iter()
        .any(|(_, address, headers)| wrk::run(*address, headers, WARM_UP_SECONDS).is_none())
    {
        eprintln!("wrk is not installed: {name} is not measured");
        return;
    }
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); asked.len()];
    let mut failed = vec![0; asked.len()];
    for _ in 0..ROUNDS {
        for (index, (_, address, headers)) in asked.iter().enumerate() {
            let seen = wrk::run(*address, headers, SECONDS).expect("it ran before");
            rates[index].push(seen.rate);
            failed[index] += seen.failed;
        }
    }
    let medians: Vec<f64> = rates.iter().map(|rates| report::median(rates)).collect();
    for (index, (peer, ..)) in asked.iter().enumerate() {
        println!("{name}.{peer}.per_second: {:.0}", medians[index]);
        println!("{name}.{peer}.failed: {}", failed[index]);
    }
    for ((peer, ..), median) in asked.iter().zip(&medians).skip(1) {
        println!("{name}.ratio.tauon_to_{peer}: {:.3}", medians[0] / median);
    }
}
