//! Latencies at half of the rate that the daemon can bear, beside a bare hyper server at the same rate.

use std::time::Duration;

use crate::artifact::Hello;
use crate::client::{self, Extent, Load, Question};
use crate::peers::Peer;
use crate::report;
use crate::stock::Stock;

const CLIENTS: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(5);
const MAXIMAL: Duration = Duration::from_secs(3);

pub fn run(name: &str, stock: &Stock) {
    let peers = Peer::tauon_and_bare(stock, Hello::Small);
    let questions = |peer: &Peer| client::same(&Question::root(peer.address), CLIENTS);
    let maximal = || client::run(questions(&peers[0]), &Extent::Time(MAXIMAL)).rate;
    let maximal = report::median(&[maximal(), maximal(), maximal()]);
    let rate = maximal / 2.0;
    println!("{name}.maximal.per_second: {maximal:.0}");
    println!("{name}.per_second: {rate:.0}");
    let mut loads = [Load::default(), Load::default()];
    let mut quantiles = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        for (index, peer) in peers.iter().enumerate() {
            let run = client::run_paced(questions(peer), rate, &Extent::Time(ROUND));
            quantiles[index].push(run.seen.latencies.value_at_quantile(0.999) as f64);
            loads[index].add(run);
        }
    }
    let medians = quantiles.each_ref().map(|quantiles| report::median(quantiles));
    for ((peer, load), median) in peers.iter().zip(&loads).zip(&medians) {
        let name = format!("{name}.{}", peer.name);
        println!("{name}.median_p99_9_us: {median:.0}");
        load.print(&name);
    }
    println!("{name}.ratio.tauon_to_hyper: {:.3}", medians[0] / medians[1]);
}
