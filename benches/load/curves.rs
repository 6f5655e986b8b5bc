//! Throughput and resident memory as the number of apps grows. PLOTS names the directory where they are drawn too.

use std::path::Path;
use std::time::Duration;

use crate::client::{self, Extent, Load};
use crate::daemon::Daemon;
use crate::fleet::{Addresses, Components, Fleet, apps};
use crate::many::IDLE;
use crate::plot::{self, Line};
use crate::process::Resident;
use crate::stock::Stock;
use crate::zipf;

const COUNTS: [usize; 5] = [1, 10, 100, 1_000, 10_000];
const ROUNDS: usize = 3;
const ROUND: Duration = Duration::from_secs(3);
/// How long all have to answer.
const PATIENCE: Duration = Duration::from_secs(60);
const WARM_UP: Duration = Duration::from_secs(1);

pub fn run(name: &str, stock: &Stock) {
    let line = |name| Line {
        name,
        points: Vec::new(),
    };
    let mut rates = [
        line("hosts at one address"),
        line("an address each, a connection for each request"),
    ];
    let mut memory = [line("a component each"), line("one component for all")];
    for count in COUNTS.into_iter().filter(|count| *count <= apps()) {
        let start = |components, addresses| {
            let mut fleet = Fleet::new(stock, count, components, addresses);
            for question in &mut fleet.questions {
                question.anew = matches!(addresses, Addresses::Each);
            }
            let home = stock.home();
            fleet.place(&home);
            let daemon = home.start();
            daemon.settle(count);
            (daemon, fleet)
        };
        let x = count as f64;

        {
            let (_daemon, fleet) = start(Components::Different, Addresses::Shared);
            let rate = rate(&fleet);
            println!("{name}.{count}.hosts.per_second: {rate:.0}");
            rates[0].points.push((x, rate));
        }
        {
            let (daemon, fleet) = start(Components::Different, Addresses::Each);
            let kib = idle(&daemon, &fleet);
            println!("{name}.{count}.different.resident_kib: {kib}");
            memory[0].points.push((x, kib as f64 / 1024.0));
            let rate = rate(&fleet);
            println!("{name}.{count}.addresses.per_second: {rate:.0}");
            rates[1].points.push((x, rate));
        }
        {
            let (daemon, fleet) = start(Components::Same, Addresses::Each);
            let kib = idle(&daemon, &fleet);
            println!("{name}.{count}.same.resident_kib: {kib}");
            memory[1].points.push((x, kib as f64 / 1024.0));
        }
    }
    if let Some(directory) = std::env::var_os("PLOTS") {
        let file = |name| Path::new(&directory).join(name);
        plot::draw(
            &file("throughput.svg"),
            "Requests a second, over all apps by Zipf's law",
            "requests/s",
            &rates,
        );
        plot::draw(
            &file("memory.svg"),
            "Resident memory of idle apps",
            "MiB",
            &memory,
        );
    }
}

/// After each has answered once.
fn idle(daemon: &Daemon, fleet: &Fleet) -> u64 {
    client::ask_all(&fleet.questions, PATIENCE);
    std::thread::sleep(IDLE);
    Resident::of(&daemon.process).all
}

fn rate(fleet: &Fleet) -> f64 {
    let load = |round| zipf::clients(&fleet.questions, round);
    client::run(load(0), &Extent::Time(WARM_UP));
    let mut seen = Load::default();
    for round in 1..=ROUNDS {
        seen.add(client::run(load(round), &Extent::Time(ROUND)));
    }
    seen.median_rate()
}
