//! A thousand files renamed to a new version at once, under load: what fails, and what others notice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app::App;
use crate::artifact::Hello;
use crate::client::{self, Extent, Load, Question, Questions, Run};
use crate::daemon::Daemon;
use crate::fleet::name;
use crate::stock::Stock;

const APPS: usize = 1000;
const NEIGHBOURS: usize = 16;
/// Questions a second, to all apps that are redeployed and to all neighbours.
const RATE: f64 = 1000.0;
const WAVES: usize = 3;
const QUIET: Duration = Duration::from_secs(5);

#[derive(Clone, Copy)]
enum Versions {
    /// All apps are of one artifact, and go to another.
    Same,
    /// Each has an artifact of its own, and gets another one, which has to be compiled.
    Different,
}

pub fn run(name: &str, stock: &Stock) {
    for (kind, versions) in [("same", Versions::Same), ("different", Versions::Different)] {
        measure(&format!("{name}.{kind}"), stock, versions);
    }
}

fn measure(label: &str, stock: &Stock, versions: Versions) {
    let daemon = stock.home().start();
    let mut apps: Vec<App> = references(stock, versions, 0)
        .map(|reference| App::new(&reference))
        .collect();
    let neighbours: Vec<App> = (0..NEIGHBOURS).map(|_| stock.app()).collect();
    for (index, app) in apps.iter().chain(&neighbours).enumerate() {
        daemon.home().write(&name(index), &app.json());
    }
    daemon.settle(APPS + NEIGHBOURS);

    let [mut quiet, mut wave, mut redeployed] = <[Load; 3]>::default();
    let mut seconds = Vec::new();
    under_load(&apps, &neighbours, || std::thread::sleep(QUIET));
    for number in 1..=WAVES {
        let [_, seen] = under_load(&apps, &neighbours, || std::thread::sleep(QUIET));
        quiet.add(seen);
        let before = digests(&daemon);
        let staged = references(stock, versions, number).zip(&mut apps).enumerate();
        let staged = staged.map(|(index, (reference, app))| {
            *app = app.clone().with("reference", reference);
            daemon.home().stage(&name(index), &app.json())
        });
        let staged: Vec<_> = staged.collect();
        let [asked, seen] = under_load(&apps, &neighbours, || {
            let start = Instant::now();
            for (index, staged) in staged.iter().enumerate() {
                daemon.home().rename_into_place(staged, &name(index));
            }
            // While it is measured, not all are looked at.
            let last = name(APPS - 1);
            daemon.wait_until("the last app is redeployed", |daemon| {
                daemon.app(&last)["digest"] != before[&last]
            });
            daemon.wait_until("every app is redeployed", |daemon| {
                let now = digests(daemon);
                (0..APPS).all(|index| now[&name(index)] != before[&name(index)])
            });
            seconds.push(start.elapsed().as_secs_f64());
        });
        redeployed.add(asked);
        wave.add(seen);
    }
    println!("{label}.seconds: {:.2}", crate::report::median(&seconds));
    redeployed.print(&format!("{label}.redeployed"));
    quiet.print(&format!("{label}.neighbours_quiet"));
    wave.print(&format!("{label}.neighbours"));
    let ratio = wave.microseconds(0.99) as f64 / quiet.microseconds(0.99) as f64;
    println!("{label}.ratio.p99_to_quiet: {ratio:.2}");
}

/// What each app is to name in the wave of this number; 0 is before all of them.
fn references(stock: &Stock, versions: Versions, number: usize) -> impl Iterator<Item = String> {
    let same = stock.different(number);
    (0..APPS).map(move |index| match versions {
        Versions::Same => same.clone(),
        Versions::Different if number == 0 => stock.different(index),
        Versions::Different => stock.new_artifact(&Hello::Small.bytes()),
    })
}

/// Does it, while apps and neighbours are asked; what both saw.
fn under_load(apps: &[App], neighbours: &[App], act: impl FnOnce()) -> [Run; 2] {
    let done = Arc::<AtomicBool>::default();
    let load = |apps: &[App]| {
        let addresses: Vec<_> = apps.iter().map(|app| app.address).collect();
        let until = Extent::Until(done.clone());
        std::thread::spawn(move || {
            let clients = addresses.into_iter().map(|address| {
                let question = Question::root(address);
                Box::new(std::iter::repeat(question)) as Questions
            });
            client::run_paced(clients.collect(), RATE, &until)
        })
    };
    let loads = [load(apps), load(neighbours)];
    act();
    done.store(true, Ordering::Relaxed);
    loads.map(|load| load.join().expect("a load does not panic"))
}

/// Of what serves, by the apps' names.
fn digests(daemon: &Daemon) -> serde_json::Map<String, Value> {
    let status = daemon.status();
    let apps = status["apps"].as_object().expect("apps");
    let digests = apps
        .iter()
        .map(|(name, app)| (name.clone(), app["digest"].clone()));
    digests.collect()
}
