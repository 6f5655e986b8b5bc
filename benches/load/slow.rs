//! More slow requests at once than an app may have: what they are answered, how soon, and what it costs.

use std::time::{Duration, Instant};

use futures::future::join_all;
use serde_json::{Value, json};

use crate::app::App;
use crate::client::{self, Connection, Question, Reply};
use crate::daemon::Daemon;
use crate::process::Resident;
use crate::stock::Stock;

/// See `tests/guests/probe`.
const GUEST: &str = "probe";

struct Case {
    name: &'static str,
    limits: &'static str,
    apps: usize,
    /// Of each app, at once.
    requests: usize,
    /// Longer than a request may wait.
    sleep: Duration,
}

const CASES: [Case; 3] = [
    // As built in: 512 requests, 1024 wait for 10 s.
    Case {
        name: "defaults",
        limits: "{}",
        apps: 1,
        requests: 1000,
        sleep: Duration::from_secs(12),
    },
    Case {
        name: "configured",
        limits: r#"{"requests": 100, "queue": 200, "queue_time": "2s", "memory": "16MiB"}"#,
        apps: 1,
        requests: 1000,
        sleep: Duration::from_secs(4),
    },
    // Each below its own limits, and together more than the process has instances.
    Case {
        name: "apps",
        limits: "{}",
        apps: 10,
        requests: 500,
        sleep: Duration::from_secs(12),
    },
];

pub fn run(name: &str, stock: &Stock) {
    let reference = stock.guest(GUEST, json!({}));
    for case in &CASES {
        measure(&format!("{name}.{}", case.name), case, &reference, stock);
    }
}

fn measure(name: &str, case: &Case, reference: &str, stock: &Stock) {
    let daemon = stock.home().start();
    let apps: Vec<_> = (0..case.apps)
        .map(|index| app(&daemon, reference, case, index))
        .collect();
    let bystander = stock.app();
    daemon.home().write("bystander", &bystander.json());
    client::wait_for_200(bystander.address);
    for app in &apps {
        client::wait_for_answer(app.address);
    }
    let before = Resident::of(&daemon.process);

    let path = format!("/sleep?ms={}", case.sleep.as_millis());
    let questions = apps.iter().map(|app| Question::get(app.address, &path));
    let questions = questions.flat_map(|question| std::iter::repeat_n(question, case.requests));
    let replies = client::block_on(join_all(questions.map(ask)));

    let count = |is: fn(&Outcome) -> bool| replies.iter().filter(|outcome| is(outcome)).count();
    println!("{name}.asked: {}", replies.len());
    println!("{name}.answered: {}", count(|it| it.status == Some(Reply::OK)));
    println!(
        "{name}.told_to_come_again: {}",
        count(|it| it.status == Some(Reply::UNAVAILABLE) && it.has_retry_after)
    );
    println!(
        "{name}.unavailable_without_retry_after: {}",
        count(|it| it.status == Some(Reply::UNAVAILABLE) && !it.has_retry_after)
    );
    println!("{name}.internal_errors: {}", count(|it| it.status == Some(500)));
    println!("{name}.no_answer: {}", count(|it| it.status.is_none()));
    let refused = replies.iter().filter(|it| it.status == Some(Reply::UNAVAILABLE));
    let longest = refused.map(|it| it.after).max().unwrap_or_default();
    println!("{name}.longest_until_told_seconds: {:.2}", longest.as_secs_f64());
    println!("{name}.resident_before_kib: {}", before.all);
    println!("{name}.resident_peak_kib: {}", Resident::peak_of(&daemon.process));
    // It goes on serving.
    client::wait_for_200(bystander.address);
}

fn app(daemon: &Daemon, reference: &str, case: &Case, index: usize) -> App {
    let limits: Value = serde_json::from_str(case.limits).expect("JSON");
    let app = App::new(reference).with("limits", limits);
    daemon.home().write(&format!("slow-{index}"), &app.json());
    app
}

struct Outcome {
    /// `None` if the connection broke.
    status: Option<u16>,
    has_retry_after: bool,
    after: Duration,
}

async fn ask(question: Question) -> Outcome {
    let start = Instant::now();
    let reply = async { Connection::open(question.address).await?.ask(&question).await };
    let reply = reply.await.ok();
    Outcome {
        status: reply.as_ref().map(|reply| reply.status),
        has_retry_after: reply.is_some_and(|reply| reply.has_retry_after),
        after: start.elapsed(),
    }
}
