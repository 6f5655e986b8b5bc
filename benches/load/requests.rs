//! How many requests a second, each by a fresh instance where the generation of the guest has it so.

use std::net::SocketAddr;

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

/// A peer, how it is asked, and what came of it.
struct Asked {
    name: String,
    address: SocketAddr,
    headers: &'static [&'static str],
    /// Requests a second, of each round.
    rates: Vec<f64>,
    failed: u64,
}

impl Asked {
    fn new(name: String, address: SocketAddr, headers: &'static [&'static str]) -> Self {
        Self {
            name,
            address,
            headers,
            rates: Vec::new(),
            failed: 0,
        }
    }

    fn run(&self, seconds: u64) -> Option<wrk::Seen> {
        wrk::run(self.address, self.headers, seconds)
    }
}

pub fn run(name: &str, stock: &Stock, hello: Hello) {
    let peers = Peer::all(stock, hello);
    let mut all = Vec::new();
    for peer in &peers {
        all.push(Asked::new(peer.name.to_owned(), peer.address, &[]));
        // It runs the same guests, and adds nothing.
        if peer.name == WASMTIME_SERVE {
            let name = format!("{WASMTIME_SERVE}_with_headers");
            all.push(Asked::new(name, peer.address, &ADDED));
        }
    }
    if all.iter().any(|asked| asked.run(WARM_UP_SECONDS).is_none()) {
        eprintln!("wrk is not installed: {name} is not measured");
        return;
    }
    for _ in 0..ROUNDS {
        for asked in &mut all {
            let seen = asked.run(SECONDS).expect("it ran before");
            asked.rates.push(seen.rate);
            asked.failed += seen.failed;
        }
    }
    let medians: Vec<f64> = all.iter().map(|asked| report::median(&asked.rates)).collect();
    for (asked, median) in all.iter().zip(&medians) {
        println!("{name}.{}.per_second: {median:.0}", asked.name);
        println!("{name}.{}.failed: {}", asked.name, asked.failed);
    }
    for (asked, median) in all.iter().zip(&medians).skip(1) {
        println!("{name}.ratio.tauon_to_{}: {:.3}", asked.name, medians[0] / median);
    }
}
