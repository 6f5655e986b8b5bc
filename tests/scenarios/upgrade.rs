//! A new process takes the place of a running one.

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::support::client::{empty, request};
use crate::support::prelude::*;
use crate::support::service_manager::ServiceManager;
use crate::support::wait::until;

/// Between two requests of the load.
const PACE: Duration = Duration::from_millis(5);

/// A process that no test has started itself; it is killed when dropped.
struct Successor(Pid);

impl Successor {
    /// The one that a daemon says goes on in its place.
    async fn of(daemon: &Daemon) -> Self {
        let line = daemon.wait_log("the new process goes on").await;
        let id = line.rsplit("process=").next().unwrap();
        Self(Pid::from_raw(id.trim().parse().unwrap()).unwrap())
    }

    /// Ends it as an operator would: it removes the admin socket at its end.
    async fn end(self, daemon: &Daemon) {
        kill_process(self.0, Signal::TERM).unwrap();
        until("the new process to end", async || {
            match daemon.socket().exists() {
                false => Ok(()),
                true => Err(daemon.logs()),
            }
        })
        .await;
    }
}

impl Drop for Successor {
    fn drop(&mut self) {
        // It may have ended.
        let _ = kill_process(self.0, Signal::KILL);
    }
}

/// Requests at a constant rate, each over a connection of its own; answers with the failures, the number of requests and the
/// longest time that one took.
async fn load(address: SocketAddr, stop: Arc<AtomicBool>) -> (Vec<String>, usize, Duration) {
    let mut ticks = interval(PACE);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut requests = tokio::task::JoinSet::new();
    while !stop.load(Ordering::Relaxed) {
        ticks.tick().await;
        requests.spawn(async move {
            let began = Instant::now();
            let answer = match get(address, "/version").await {
                Ok(reply) if reply.status == 200 => Ok(()),
                Ok(reply) => Err(reply.status.to_string()),
                Err(error) => Err(error),
            };
            (answer, began.elapsed())
        });
    }
    let outcomes = requests.join_all().await;
    let failures = outcomes
        .iter()
        .filter_map(|(answer, _)| answer.clone().err())
        .collect();
    let longest = outcomes.iter().map(|(_, time)| *time).max().unwrap();
    (failures, outcomes.len(), longest)
}

/// Requests one after the other over a kept connection, and over a new one when an answer says that the connection ends; answers
/// with the failures, and the number of connections.
async fn kept_load(address: SocketAddr, stop: Arc<AtomicBool>) -> (Vec<String>, usize) {
    let (mut failures, mut connections) = (Vec::new(), 0);
    let mut ticks = interval(PACE);
    while !stop.load(Ordering::Relaxed) {
        let mut connection = Connection::open(address).await.unwrap();
        connections += 1;
        while !stop.load(Ordering::Relaxed) {
            ticks.tick().await;
            match connection.get("/version").await {
                Ok(reply) if reply.status != 200 => failures.push(reply.status.to_string()),
                Ok(reply) if reply.header("connection") == Some("close") => break,
                Ok(_) => {}
                Err(error) => {
                    failures.push(error);
                    break;
                }
            }
        }
    }
    (failures, connections)
}

#[tokio::test]
async fn an_upgrade_refuses_no_connection_and_fails_no_request() {
    let builder = Daemon::builder();
    let manager = ServiceManager::new(&builder.root().join("run"));
    let layout = Layout::with(&App::of("probe", "1"));
    let mut daemon = builder
        .env("NOTIFY_SOCKET", manager.socket())
        .env("WATCHDOG_USEC", "400000")
        .start()
        .await;
    // Both have ports that the kernel chose, which the new process has to keep.
    let address = daemon.serve("app", &layout.file("v1")).await;
    let other = daemon.serve("other", &layout.file("v1")).await;
    let path = daemon.root().join("run/app.sock");
    let mut unix = layout.file("v1");
    unix["address"] = format!("unix:{}", path.display()).into();
    daemon.write_app("unix", &unix);
    daemon.wait_state("unix", "running").await;
    manager.hear("READY=1", 1).await;
    let mut idle = Connection::open(other).await.unwrap();
    assert_eq!(idle.get("/version").await.unwrap().text(), "1");
    let mut busy = Connection::open(other).await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let requests = tokio::spawn(load(address, stop.clone()));
    let kept = tokio::spawn(kept_load(address, stop.clone()));

    let first = daemon.pid();
    daemon.signal(Signal::USR2);
    daemon.wait_log("a new process is started").await;
    // A response that takes longer than the upgrade.
    let streamed = busy
        .send(request(Method::GET, "/stream?n=50&ms=40", empty()))
        .await;
    let successor = Successor::of(&daemon).await;
    assert!(daemon.wait().await.success());
    let streamed = streamed.unwrap();
    assert!(
        streamed.text().ends_with("chunk 49 of version 1\n"),
        "{streamed:?}"
    );
    until(
        "a connection without a request to be closed",
        async || match idle.is_open() {
            true => Err("it is open".to_owned()),
            false => Ok(()),
        },
    )
    .await;
    // The new process serves alone for a while, too.
    let mut heard = manager.hear("READY=1", 2).await;
    manager
        .hear(
            "WATCHDOG=1",
            heard.iter().filter(|line| *line == "WATCHDOG=1").count() + 2,
        )
        .await;
    stop.store(true, Ordering::Relaxed);
    let (failures, number, longest) = requests.await.unwrap();
    assert_eq!(failures, Vec::<String>::new(), "of {number}\n{}", daemon.logs());
    assert!(number > 50, "{number} requests");
    assert_eq!(kept.await.unwrap(), (Vec::new(), 2), "{}", daemon.logs());
    println!("{number} requests, the longest took {longest:?}");

    heard.retain(|line| line.starts_with("MAINPID=") || line == "STOPPING=1");
    assert_eq!(heard, [format!("MAINPID={}", successor.0.as_raw_nonzero())]);
    assert_ne!(successor.0, first);
    // The admin socket, the lock and the ports are the new process's.
    assert_eq!(daemon.app("app").await.unwrap().address(), address);
    assert_eq!(daemon.app("other").await.unwrap().address(), other);
    let mut connection = Connection::open_unix(&path).await.unwrap();
    assert_eq!(connection.get("/version").await.unwrap().text(), "1");
    let second = daemon.second_on_the_same_directory().await;
    assert!(String::from_utf8_lossy(&second.stderr).contains("already served"));
    daemon.remove_app("unix");
    daemon.wait_gone("unix").await;
    until(
        "the new process to remove the socket's file",
        async || match path.exists() {
            true => Err("it is there".to_owned()),
            false => Ok(()),
        },
    )
    .await;
    successor.end(&daemon).await;
}

#[tokio::test]
async fn a_new_process_that_fails_changes_nothing() {
    let builder = Daemon::builder();
    let config = builder.root().join("tauon.toml");
    let greeting = builder.root().join("greeting");
    fs::write(&config, "").unwrap();
    fs::write(&greeting, "hello").unwrap();
    let mut app = App::of("probe", "1");
    app.variables.insert("greeting".into(), json!({"required": true}));
    let layout = Layout::with(&app);
    let mut file = layout.file("v1");
    file["variables"] = json!({"greeting": {"file": greeting}});
    let mut daemon = builder.arg("--config").arg(&config).start().await;
    let address = daemon.serve("app", &file).await;
    let process = daemon.pid();

    // It does not get as far as taking anything over.
    fs::write(&config, "drain-timeout = 'soon'\n").unwrap();
    daemon.signal(Signal::USR2);
    let line = daemon.wait_log("the upgrade failed; this process goes on").await;
    assert!(line.contains("the new process ended (exit status: 2)"), "{line}");
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    // It can't serve what is served now.
    fs::write(&config, "").unwrap();
    fs::remove_file(&greeting).unwrap();
    daemon.signal(Signal::USR2);
    let line = daemon.wait_log("the new process gave up").await;
    assert!(line.contains("at 127.0.0.1:0 of app"), "{line}");
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");

    // What was amiss is put right.
    fs::write(&greeting, "hello").unwrap();
    daemon.signal(Signal::USR2);
    let successor = Successor::of(&daemon).await;
    assert!(daemon.wait().await.success());
    assert_ne!(successor.0, process);
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    successor.end(&daemon).await;
}

#[tokio::test]
async fn a_new_process_that_is_not_ready_in_time_is_stopped() {
    let layout = Layout::with(&App::of("probe", "1"));
    let mut daemon = Daemon::builder()
        .arg("--upgrade-timeout")
        .arg("1ms")
        .start()
        .await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    daemon.signal(Signal::USR2);
    let line = daemon.wait_log("the upgrade failed; this process goes on").await;
    assert!(line.contains("--upgrade-timeout gives it longer"), "{line}");
    assert_eq!(get(address, "/version").await.unwrap().text(), "1");
    assert!(daemon.stop().await.success());
}
