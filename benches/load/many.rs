//! Thousands of apps that nobody asks: what each of them costs, and how soon they all answer after a restart.

use std::time::Duration;

use crate::client;
use crate::fleet::{Addresses, Components, Fleet, apps};
use crate::process::{self, Resident};
use crate::report;
use crate::stock::Stock;

/// The median of so many counts.
const RESTARTS: usize = 3;
/// How long all have to answer.
const PATIENCE: Duration = Duration::from_secs(90);
/// How long nobody asks.
pub const IDLE: Duration = Duration::from_secs(10);

pub fn run(name: &str, stock: &Stock, components: Components) {
    let count = apps();
    let one = {
        let fleet = Fleet::new(stock, 1, components, Addresses::Each);
        let home = stock.home();
        fleet.place(&home);
        let daemon = home.start();
        client::wait_for_all(&fleet.questions);
        // Another one, which has not had to compile.
        let daemon = daemon.stop().start();
        client::wait_for_all(&fleet.questions);
        std::thread::sleep(IDLE);
        Resident::of(&daemon.process)
    };
    one.print(&format!("{name}.one_app"));

    let fleet = Fleet::new(stock, count, components, Addresses::Each);
    let home = stock.home();
    fleet.place(&home);
    let mut daemon = home.start();
    let running = daemon.settle(count);
    let first = daemon.started.elapsed();
    println!("{name}.apps: {count}");
    println!("{name}.first_start.running: {running}");
    println!("{name}.first_start.seconds: {:.2}", first.as_secs_f64());

    let mut restarts = Vec::new();
    for _ in 0..RESTARTS {
        daemon = daemon.stop().start();
        restarts.push(client::ask_all(&fleet.questions, PATIENCE));
    }
    let seconds = restarts.iter().map(|answers| answers.within.as_secs_f64());
    let seconds: Vec<f64> = seconds.collect();
    println!("{name}.restart.seconds: {:.2}", report::median(&seconds));
    let answering = restarts.iter().map(|answers| answers.good).min();
    println!("{name}.restart.answering: {}", answering.unwrap_or_default());
    let refused: usize = restarts.iter().map(|answers| answers.refused).sum();
    println!("{name}.restart.refused: {refused}");

    let daemon = daemon.stop().start();
    let running = daemon.settle(count);
    println!("{name}.registered.running: {running}");
    Resident::of(&daemon.process).print_each(&one, running - 1, &format!("{name}.registered"));
    let answering = client::ask_all(&fleet.questions, PATIENCE).good;
    println!("{name}.answered.answering: {answering}");
    Resident::of(&daemon.process).print_each(&one, running - 1, &format!("{name}.answered"));
    std::thread::sleep(IDLE);
    let idle = Resident::of(&daemon.process);
    idle.print_each(&one, running - 1, &format!("{name}.idle"));
    idle.print(&format!("{name}.idle"));
    println!("{name}.idle.mappings: {}", process::mappings(&daemon.process));
    println!(
        "{name}.idle.descriptors: {}",
        process::descriptors(&daemon.process)
    );
    println!("{name}.idle.threads: {}", process::threads(&daemon.process));
}
