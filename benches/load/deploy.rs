//! From the rename of an app file into the directory to the first 200, with content and code cached.

use std::time::{Duration, Instant};

use crate::app::App;
use crate::client;
use crate::daemon::Daemon;
use crate::fleet::{Addresses, Components, Fleet, apps};
use crate::report;
use crate::stock::Stock;

const DEPLOYMENTS: usize = 200;
/// Apps that are there already, besides many.
const FEW: usize = 10;

pub fn run(name: &str, stock: &Stock) {
    // Which no other app runs.
    let reference = stock.different(apps());
    for present in [FEW, apps()] {
        let fleet = Fleet::new(stock, present, Components::Same, Addresses::Each);
        let home = stock.home();
        fleet.place(&home);
        let daemon = home.start();
        daemon.settle(present);
        deploy(&daemon, &reference);
        let times: Vec<_> = (0..DEPLOYMENTS).map(|_| deploy(&daemon, &reference)).collect();
        report::print_times(&format!("{name}.{present}_apps"), &times);
    }
}

fn deploy(daemon: &Daemon, reference: &str) -> Duration {
    let app = App::new(reference);
    let staged = daemon.home().stage("deployed", &app.json());
    let start = Instant::now();
    daemon.home().rename_into_place(&staged, "deployed");
    client::wait_for_200(app.address);
    let time = start.elapsed();
    daemon.home().remove("deployed");
    client::wait_for_refusal(app.address);
    time
}
