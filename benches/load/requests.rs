//! How many requests a second, each by a fresh instance where the generation of the guest has it so.

use crate::artifact::Hello;
use crate::peers::Peer;
use crate::stock::Stock;
use crate::{report, wrk};

const ROUNDS: usize = 5;
const SECONDS: u64 = 3;
const WARM_UP_SECONDS: u64 = 1;

pub fn run(name: &str, stock: &Stock, hello: Hello) {
    let peers = Peer::all(stock, hello);
    if peers
        .iter()
        .any(|peer| wrk::run(peer.address, WARM_UP_SECONDS).is_none())
    {
        eprintln!("wrk is not installed: {name} is not measured");
        return;
    }
    let mut rates: Vec<Vec<f64>> = vec![Vec::new(); peers.len()];
    let mut failed = vec![0; peers.len()];
    for _ in 0..ROUNDS {
        for (index, peer) in peers.iter().enumerate() {
            let seen = wrk::run(peer.address, SECONDS).expect("it ran before");
            rates[index].push(seen.rate);
            failed[index] += seen.failed;
        }
    }
    let medians: Vec<f64> = rates.iter().map(|rates| report::median(rates)).collect();
    for (index, peer) in peers.iter().enumerate() {
        println!("{name}.{}.per_second: {:.0}", peer.name, medians[index]);
        println!("{name}.{}.failed: {}", peer.name, failed[index]);
    }
    for (peer, median) in peers.iter().zip(&medians).skip(1) {
        println!("{name}.ratio.tauon_to_{}: {:.3}", peer.name, medians[0] / median);
    }
}
