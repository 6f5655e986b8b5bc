//! Guests that keep state: a get and a set of the default key-value store for each request, and SQL inserts. Each request
//! opens its store or connection anew, as guests do.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::app::App;
use crate::client::{self, Extent, Load, Question};
use crate::daemon::Daemon;
use crate::process::{self, Resident};
use crate::setting::number;
use crate::stock::Stock;

/// Runs the script in a request's body: see `tests/guests/calls`.
const GUEST: &str = "apis5";

const KEY_VALUE: &str = "/fermyon:spin/key-value@2.0.0";
const SQLITE: &str = "/fermyon:spin/sqlite@2.0.0";
/// In the line of a call that has failed.
const FAILED: &[u8] = br#"{"err""#;

const CONNECTIONS: [usize; 2] = [1, 16];
const WARM_UP: Duration = Duration::from_secs(1);
/// Each of those that are compared is measured so often, in turns.
const ROUNDS: usize = 2;
/// Requests before what the process holds is first looked at.
const WARM_UP_REQUESTS: u64 = 2_000;
/// How long connections and threads of the last requests have to end.
const SETTLED_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// What the environment says; the names are those of the README.
struct Options {
    /// Of each round as fast as it goes.
    round: Extent,
    inserts: u64,
    /// Inserts a second, or 0 for as many as can be.
    rate: u32,
    requests: u64,
}

impl Options {
    fn read() -> Self {
        Self {
            round: Extent::Time(Duration::from_secs(number("STATE_SECONDS", 5))),
            inserts: number("STATE_INSERTS", 2_000),
            rate: number("STATE_RATE", 100),
            requests: number("STATE_REQUESTS", 20_000),
        }
    }
}

pub fn run(stock: &Stock) {
    let options = Options::read();
    let daemon = stock.home().start();
    // With leave to use both.
    let metadata = json!({"key_value_stores": ["default"], "databases": ["default"]});
    let app = App::new(&stock.guest(GUEST, metadata));
    daemon.home().write("state", &app.json());
    client::wait_for_answer(app.address);
    let question = |path, calls: &[&Value]| question(&app, path, calls);
    let open = json!(["open", "default"]);
    let execute = |sql: &str| json!(["execute", 0, sql, []]);
    let get = json!(["get", 0, "a"]);
    let set = json!(["set", 0, "a", "1"]);
    let get_and_set = question(KEY_VALUE, &[&open, &get, &set]);
    let create = execute("CREATE TABLE t (id INTEGER PRIMARY KEY, note TEXT)");
    let row = execute("INSERT INTO t (note) VALUES ('a note of some words')");
    let insert = question(SQLITE, &[&open, &row]);
    // A guest that has a patience of its own waits as SQLite alone does: it asks again and again.
    let patience = execute("PRAGMA busy_timeout = 5000");
    let insert_polling = question(SQLITE, &[&open, &patience, &row]);
    client::answer(&question(SQLITE, &[&open, &create]));
    compare(&options.round, &[("key_value", &get_and_set)]);
    let mut inserted = compare(
        &options.round,
        &[("insert", &insert), ("insert_polling", &insert_polling)],
    );
    inserted += inserts(&daemon, &insert, &options);
    requests(&daemon, &get_and_set, options.requests);
    // What a guest does that writes much: two flushes of the disk less for each insert.
    let wal = execute("PRAGMA journal_mode = WAL");
    client::answer(&question(SQLITE, &[&open, &wal]));
    inserted += compare(&options.round, &[("insert_wal", &insert)]);
    let rows = rows(&question(SQLITE, &[&open, &execute("SELECT count(*) FROM t")]));
    println!("state.rows.inserted: {inserted}");
    println!("state.rows.found: {rows}");
}

/// Measures the questions in turns, and how the first stands to the others. Returns how many were answered.
fn compare(round: &Extent, questions: &[(&str, &Question)]) -> u64 {
    let mut answered = 0;
    for connections in CONNECTIONS {
        let mut loads: Vec<Load> = questions.iter().map(|_| Load::default()).collect();
        for (_, question) in questions {
            let mut warm_up = Load::default();
            warm_up.add(client::run(
                client::same(question, connections),
                &Extent::Time(WARM_UP),
            ));
            answered += warm_up.answered();
        }
        for _ in 0..ROUNDS {
            for ((_, question), load) in questions.iter().zip(&mut loads) {
                load.add(client::run(client::same(question, connections), round));
            }
        }
        for ((name, _), load) in questions.iter().zip(&loads) {
            print(&format!("state.{name}.{connections}"), load);
            answered += load.answered();
        }
        let (first, others) = loads.split_first().expect("a question");
        for ((other, _), load) in questions.iter().skip(1).zip(others) {
            let name = format!("state.ratio.{}_to_{other}.{connections}", questions[0].0);
            println!(
                "{name}.per_second: {:.3}",
                first.median_rate() / load.median_rate()
            );
            for (label, quantile) in [("p99", 0.99), ("max", 1.0)] {
                let ratio = first.microseconds(quantile) as f64 / load.microseconds(quantile) as f64;
                println!("{name}.{label}: {ratio:.3}");
            }
        }
    }
    answered
}

/// As many inserts as an app has to bear, at the rate at which it has to. Returns how many were answered.
fn inserts(daemon: &Daemon, insert: &Question, options: &Options) -> u64 {
    let mut load = Load::default();
    let held = Held::by(daemon);
    let clients = client::same(insert, CONNECTIONS[1]);
    let extent = Extent::Requests(options.inserts);
    load.add(match options.rate {
        0 => client::run(clients, &extent),
        rate => client::run_paced(clients, f64::from(rate), &extent),
    });
    print("state.inserts", &load);
    held.print_growth(daemon, "state.inserts");
    load.answered()
}

/// What is held after many requests more than before them.
fn requests(daemon: &Daemon, question: &Question, count: u64) {
    let clients = || client::same(question, CONNECTIONS[1]);
    let requests = |count| client::run(clients(), &Extent::Requests(count));
    requests(WARM_UP_REQUESTS);
    let held = Held::by(daemon);
    let mut load = Load::default();
    load.add(requests(count));
    print("state.requests", &load);
    held.print_growth(daemon, "state.requests");
}

/// What the process holds.
struct Held {
    resident_kib: u64,
    descriptors: usize,
    threads: usize,
}

impl Held {
    fn by(daemon: &Daemon) -> Self {
        Self {
            resident_kib: Resident::of(&daemon.process).all,
            descriptors: process::descriptors(&daemon.process),
            threads: process::threads(&daemon.process),
        }
    }

    /// Prints this, and what is held now, once the clients that have gone are seen to be gone.
    fn print_growth(&self, daemon: &Daemon, name: &str) {
        let start = Instant::now();
        let mut after = Self::by(daemon);
        while (after.descriptors > self.descriptors || after.threads > self.threads)
            && start.elapsed() < SETTLED_WITHIN
        {
            std::thread::sleep(POLL);
            after = Self::by(daemon);
        }
        for (label, held) in [("before", self), ("after", &after)] {
            println!("{name}.resident_kib_{label}: {}", held.resident_kib);
            println!("{name}.descriptors_{label}: {}", held.descriptors);
            println!("{name}.threads_{label}: {}", held.threads);
        }
    }
}

fn print(name: &str, load: &Load) {
    println!("{name}.answered: {}", load.answered());
    println!("{name}.per_second: {:.0}", load.median_rate());
    load.print(name);
}

/// The number in the last line of the answer: see `tests/guests/calls`.
fn rows(question: &Question) -> u64 {
    let answer = client::answer(question);
    let line = answer.split(|&byte| byte == b'\n').rfind(|line| !line.is_empty());
    let line: Value = serde_json::from_slice(line.expect("a line")).expect("JSON");
    let number = &line["result"]["ok"]["rows"][0]["values"][0]["integer"];
    number
        .as_u64()
        .unwrap_or_else(|| panic!("not one number: {line}"))
}

fn question(app: &App, path: &'static str, calls: &[&Value]) -> Question {
    let lines: Vec<String> = calls.iter().map(|call| call.to_string()).collect();
    // The guest answers 200 whatever its calls came to.
    let is_good = |body: &[u8]| !body.windows(FAILED.len()).any(|window| window == FAILED);
    Question::post(app.address, path, &lines.join("\n"), is_good)
}
