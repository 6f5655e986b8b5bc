//! What the service manager is told (`sd_notify(3)`): readiness, a line of status, that the process still works.
//!
//! Without `$NOTIFY_SOCKET` nobody listens, and nothing is sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};

use crate::control::{Status, SupervisorHandle};
use crate::tasks;

/// How long apps of the first listing may take before the service is ready without them: a registry that does not answer
/// keeps nobody else waiting.
const READY_PATIENCE: Duration = Duration::from_secs(30);
/// Between two lines of status.
const STATUS_PAUSE: Duration = Duration::from_secs(1);

/// Tells the service manager.
#[derive(Debug, Default)]
pub struct ServiceManager {
    failed: AtomicBool,
    /// Another process speaks for the service.
    replaced: AtomicBool,
}

impl ServiceManager {
    /// The service does what it is asked for.
    pub fn ready(&self, status: &Status) {
        self.tell(&[NotifyState::Ready, NotifyState::Status(&line(status))]);
    }

    /// The configuration is read again, until the next [`ready`](Self::ready).
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => self.tell(&[NotifyState::Reloading, now]),
            Err(error) => tracing::warn!(%error, "the service manager can't be told of a reload"),
        }
    }

    /// Requests in flight finish, then the process ends.
    pub fn stopping(&self) {
        self.tell(&[
            NotifyState::Stopping,
            NotifyState::Status("requests in flight finish"),
        ]);
    }

    /// Another process goes on in place of this one, which says nothing from now on.
    pub fn replaced_by(&self, process: u32) {
        self.tell(&[NotifyState::MainPid(process)]);
        self.replaced.store(true, Ordering::Relaxed);
    }

    /// The other process has ended after all.
    pub fn still_here(&self) {
        self.replaced.store(false, Ordering::Relaxed);
        self.tell(&[NotifyState::MainPid(std::process::id())]);
    }

    fn tell(&self, states: &[NotifyState<'_>]) {
        if self.replaced.load(Ordering::Relaxed) {
            return;
        }
        let Err(error) = sd_notify::notify(states) else {
            return self.failed.store(false, Ordering::Relaxed);
        };
        // Once: it is told every second.
        if !self.failed.swap(true, Ordering::Relaxed) {
            tracing::warn!(%error, "the service manager can't be told anything");
        }
    }

    /// Keeps the line of status up to date, until the supervisor ends.
    pub async fn follow(&self, mut status: watch::Receiver<Status>) {
        let mut told = String::new();
        while status.changed().await.is_ok() {
            let line = line(&status.borrow_and_update());
            if line != told {
                self.tell(&[NotifyState::Status(&line)]);
                told = line;
            }
            tokio::time::sleep(STATUS_PAUSE).await;
        }
    }

    /// Tells, as often as the manager wants to hear it, that the supervisor answers. A supervisor that does not is reason
    /// enough to be started again: nothing that an operator does would have an effect.
    pub async fn watchdog(&self, supervisor: SupervisorHandle) {
        if let Some(limit) = sd_notify::watchdog_enabled() {
            let alive = || self.tell(&[NotifyState::Watchdog]);
            heartbeat(limit / 2, || supervisor.answers(), alive).await;
        }
    }
}

/// Starts what goes on for as long as the process does.
pub fn accompany(
    manager: &std::sync::Arc<ServiceManager>,
    status: watch::Receiver<Status>,
    supervisor: SupervisorHandle,
) {
    let (follower, watchdog) = (manager.clone(), manager.clone());
    tasks::spawn("service status", async move { follower.follow(status).await });
    tasks::spawn("watchdog", async move { watchdog.watchdog(supervisor).await });
}

async fn heartbeat<F: Future<Output = bool>>(interval: Duration, answers: impl Fn() -> F, alive: impl Fn()) {
    let mut silent = false;
    let mut next = Instant::now();
    loop {
        if timeout(interval, answers()).await == Ok(true) {
            silent = false;
            alive();
        } else if !std::mem::replace(&mut silent, true) {
            tracing::error!(
                "the supervisor does not answer: the service manager will start the process again"
            );
        }
        next = (next + interval).max(Instant::now());
        tokio::time::sleep_until(next).await;
    }
}

/// Waits until the first listing has been handled and none of its apps is still starting, at the latest after `patience`.
/// `false`: some still are.
pub async fn settled(
    supervisor: &SupervisorHandle,
    mut status: watch::Receiver<Status>,
    patience: Duration,
) -> bool {
    let settled = async {
        supervisor.listed().await;
        let mut one = None;
        // An error means that the supervisor has ended.
        let _ = status.wait_for(|status| !status.has_starting(&mut one)).await;
    };
    timeout(patience, settled).await.is_ok()
}

/// Waits until the service can be called ready.
pub async fn until_ready(supervisor: &SupervisorHandle, status: watch::Receiver<Status>) {
    if !settled(supervisor, status, READY_PATIENCE).await {
        tracing::info!("some apps are still starting; the others are ready");
    }
}

/// How many apps there are in each state: `3 apps: 2 running, 1 failed`.
fn line(status: &Status) -> String {
    let mut states = BTreeMap::new();
    for app in status.apps.values() {
        *states.entry(app.state.as_str()).or_insert(0) += 1;
    }
    let total = status.apps.len();
    let noun = if total == 1 { "app" } else { "apps" };
    let states: Vec<String> = states
        .iter()
        .map(|(state, number)| format!("{number} {state}"))
        .collect();
    let mut line = format!("{total} {noun}");
    if !states.is_empty() {
        line = format!("{line}: {}", states.join(", "));
    }
    if let Some(problem) = &status.source_problem {
        line = format!("{line}; {problem}");
    }
    // A line break would end the message.
    line.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::control::{AppState, AppStatus};

    fn status(states: &[AppState]) -> Status {
        let apps = states
            .iter()
            .enumerate()
            .map(|(n, state)| (n.to_string(), AppStatus::in_state(*state)));
        Status {
            source_read: true,
            source_problem: None,
            apps: apps.map(|(id, app)| (id, app.into())).collect(),
        }
    }

    #[test]
    fn the_line_of_status_counts_apps_by_state() {
        use AppState::{Failed, Running};
        assert_eq!(line(&status(&[])), "0 apps");
        assert_eq!(line(&status(&[Running])), "1 app: 1 running");
        assert_eq!(
            line(&status(&[Running, Failed, Running])),
            "3 apps: 1 failed, 2 running"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn only_a_supervisor_that_answers_is_alive() {
        let (asked, alive) = (Cell::new(0), Cell::new(0));
        let second = Duration::from_secs(1);
        let answers = || async {
            asked.set(asked.get() + 1);
            match asked.get() {
                1 | 2 => true,
                3 => false,
                _ => std::future::pending().await,
            }
        };
        let beats = heartbeat(second, answers, || alive.set(alive.get() + 1));
        assert!(timeout(10 * second, beats).await.is_err());
        assert_eq!(alive.get(), 2);
        assert!(asked.get() > 4, "it is asked on: {}", asked.get());
    }
}
