//! An address for each of many apps, and descriptors for fewer than that.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

use serde_json::Value;

use crate::client;
use crate::daemon::{self, Daemon};
use crate::fleet::{Addresses, Components, Fleet, apps, name};
use crate::process;
use crate::stock::Stock;

/// What a shell gives by default.
const SOFT: &str = "1024";
/// Descriptors that are far too few for [`CROWD`] apps.
const HARD: &str = "600";
const CROWD: usize = 1000;
/// Apps whose files go, to make room for others.
const GONE: usize = 100;
/// How long apps have to answer, and those that wait to notice that there is room.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

pub fn run(name: &str, stock: &Stock) {
    raised(name, stock);
    reached(&format!("{name}.crowd"), stock);
}

/// The limit is raised, and is enough.
fn raised(label: &str, stock: &Stock) {
    let fleet = Fleet::new(stock, apps(), Components::Same, Addresses::Each);
    let home = stock.home();
    fleet.place(&home);
    let daemon = home.start_with(&limited(&format!("ulimit -Sn {SOFT}")), &[]);
    let answers = client::ask_all(&fleet.questions, PATIENCE);
    println!("{label}.soft_limit_given: {SOFT}");
    println!(
        "{label}.soft_limit_raised_to: {}",
        process::soft_limit_of_descriptors(&daemon.process)
    );
    println!("{label}.descriptors: {}", process::descriptors(&daemon.process));
    println!("{label}.apps: {}", apps());
    println!("{label}.answering: {}", answers.good);
}

/// The limit is reached.
fn reached(label: &str, stock: &Stock) {
    let fleet = Fleet::new(stock, CROWD, Components::Same, Addresses::Each);
    let home = stock.home();
    fleet.place(&home);
    let daemon = home.start_with(&limited(&format!("ulimit -n {HARD}")), &[]);
    daemon.wait_until("every app is decided", |daemon| {
        let states = states(daemon);
        states.values().sum::<usize>() == CROWD && !states.contains_key("starting")
    });
    println!("{label}.hard_limit: {HARD}");
    println!("{label}.apps: {CROWD}");
    for (state, count) in states(&daemon) {
        println!("{label}.{state}: {count}");
    }
    let status = daemon.status();
    let apps = status["apps"].as_object().expect("apps");
    let errors = apps.values().filter_map(|app| app["error"].as_str());
    let named = errors
        .clone()
        .filter(|error| error.contains("descriptor") || error.contains("open files"));
    println!("{label}.errors_that_name_it: {}", named.count());
    if let Some(error) = errors.clone().next() {
        println!("{label}.error: {error}");
    }
    let runs = |index: &usize| apps[&name(*index)]["state"] == "running";
    let running: Vec<usize> = (0..CROWD).filter(runs).collect();
    let questions: Vec<_> = running
        .iter()
        .map(|index| fleet.questions[*index].clone())
        .collect();
    println!(
        "{label}.running_that_answer: {}",
        client::ask_all(&questions, PATIENCE).good
    );

    for index in running.iter().take(GONE) {
        daemon.home().remove(&name(*index));
    }
    let start = std::time::Instant::now();
    let started = || {
        let status = daemon.status();
        let runs = |index: &usize| status["apps"][&name(*index)]["state"] == "running";
        let waited = (0..CROWD).filter(|index| !running.contains(index));
        waited.filter(runs).count()
    };
    while started() < GONE.min(CROWD - running.len()) && start.elapsed() < PATIENCE {
        std::thread::sleep(POLL);
    }
    println!("{label}.made_room_for: {}", GONE.min(running.len()));
    println!("{label}.started_then: {}", started());
}

/// The daemon, by a shell that limits itself first.
fn limited(limit: &str) -> Vec<OsString> {
    let [program] = daemon::program();
    let script = format!(r#"{limit} && exec "$0" "$@""#);
    vec!["sh".into(), "-c".into(), script.into(), program]
}

/// How many apps are in each state.
fn states(daemon: &Daemon) -> BTreeMap<String, usize> {
    let status = daemon.status();
    let apps: &serde_json::Map<String, Value> = status["apps"].as_object().expect("apps");
    let mut states = BTreeMap::new();
    for app in apps.values() {
        let state = app["state"].as_str().expect("a state");
        *states.entry(state.to_owned()).or_default() += 1;
    }
    states
}
