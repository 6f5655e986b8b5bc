//! What a request costs in instructions, by stage: the daemon's, and those of a hyper server without guests.
//!
//! | file | responsibility |
//! |---|---|
//! | `callgrind.rs` | a server in valgrind, and what it has executed between two moments |
//! | `stage.rs` | which stage of a request an instruction belongs to |
//! | `auxv.rs` | what the kernel may not tell a process in valgrind |

mod auxv;
mod callgrind;
mod stage;

use std::collections::BTreeMap;

use crate::app::App;
use crate::artifact::Hello;
use crate::client::{self, Extent, Question};
use crate::peers;
use crate::stock::Stock;
use callgrind::{Callgrind, Profile};
use stage::Stage;

/// So many, that what comes by the clock is little of the whole.
const REQUESTS: u64 = 2000;
const WARM_UP: u64 = 200;

const HELLOS: [(&str, Hello); 3] = [("small", Hello::Small), ("rust", Hello::Rust), ("p3", Hello::P3)];

pub fn run(name: &str, stock: &Stock) {
    if !callgrind::is_installed() {
        eprintln!("valgrind is not installed: {name} is not measured");
        return;
    }
    auxv::hide();
    let scratch = stock.directory(name);
    let hyper = {
        let callgrind = Callgrind::new(&scratch.join("hyper"));
        let peer = peers::start_bare_in(&callgrind.command());
        Seen::of(&callgrind, &Question::root(peer.address))
    };
    hyper.print(&format!("{name}.hyper"));
    for (label, hello) in HELLOS {
        let app = App::new(&stock.hello(hello));
        let home = stock.home();
        home.write("hello", &app.json());
        let callgrind = Callgrind::new(&scratch.join(label));
        let program = callgrind.command().into_iter().chain(crate::daemon::program());
        // What the process denies itself, it would deny valgrind.
        let _daemon = home.start_with(&program.collect::<Vec<_>>(), &["--sandbox", "off"]);
        client::wait_for_200(app.address);
        let seen = Seen::of(&callgrind, &Question::root(app.address));
        seen.print(&format!("{name}.{label}"));
        let added = seen.request.values().sum::<f64>() - hyper.request.values().sum::<f64>();
        println!("{name}.{label}.request.added_to_hyper: {added:.0}");
    }
}

/// Instructions by stage.
type Stages = BTreeMap<Stage, f64>;

struct Seen {
    /// Of a request over a connection that is kept.
    request: Stages,
    /// What a connection of its own adds to that: it is accepted, and ends.
    connection: Stages,
}

impl Seen {
    fn of(callgrind: &Callgrind, kept: &Question) -> Self {
        let mut anew = kept.clone();
        anew.anew = true;
        let each = |question: &Question| {
            let ask = |count| client::run(client::same(question, 1), &Extent::Requests(count));
            ask(WARM_UP);
            let profile = callgrind.profile(|| {
                let run = ask(REQUESTS);
                assert_eq!(run.seen.failed, 0, "requests are answered");
            });
            stages(&profile)
        };
        let request = each(kept);
        let mut connection = each(&anew);
        for (stage, instructions) in &request {
            *connection.entry(*stage).or_default() -= instructions;
        }
        Self { request, connection }
    }

    fn print(&self, name: &str) {
        for (label, stages) in [("request", &self.request), ("connection", &self.connection)] {
            for (stage, instructions) in stages {
                println!("{name}.{label}.{}: {instructions:.0}", stage.name());
            }
            let all: f64 = stages.values().sum();
            println!("{name}.{label}.all: {all:.0}");
        }
    }
}

/// Of one request.
fn stages(profile: &Profile) -> Stages {
    let mut stages = Stages::new();
    for function in profile.functions() {
        let stage = Stage::of(&function);
        *stages.entry(stage).or_default() += function.instructions as f64 / REQUESTS as f64;
    }
    stages
}
