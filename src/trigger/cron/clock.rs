//! The clock of one app: sleeps to the next instant of any of its schedules, and fires what is due.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::app::Run;
use super::timetable::{Next, Timetable};
use crate::tasks;
use crate::trigger::event::{Current, enter};
use crate::trigger::guest::Life;

/// How long to sleep without looking at the wall clock, which may be set, or have gone on while the machine slept.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// What one version of an app runs, and when.
pub(super) struct Runs {
    pub(super) life: Life,
    pub(super) runs: Vec<Arc<Run>>,
}

/// Fires instants until nothing is current.
pub(super) async fn keep(mut current: Current<Runs>) {
    let mut timetable = Timetable::new(Utc::now());
    loop {
        let Some(version) = current.borrow_and_update().clone() else {
            return;
        };
        let next = timetable.next(version.runs.iter().map(|run| &run.schedule));
        let awaited = next.as_ref().map(|next| next.instant);
        tokio::select! {
            // A change comes first: what is due then is for the new version.
            biased;
            changed = current.changed() => {
                if changed.is_err() {
                    return;
                }
                timetable.changed(awaited, Utc::now());
            }
            () = sleep_towards(awaited) => match next.filter(|next| next.instant <= Utc::now()) {
                None => timetable.look_at(Utc::now()),
                Some(next) if fire(&version, &next) => timetable.fired(next.instant, Utc::now()),
                // Being drained: what takes its place is waited for, or the end.
                Some(_) => {
                    if current.changed().await.is_err() {
                        return;
                    }
                    timetable.changed(awaited, Utc::now());
                }
            }
        }
    }
}

async fn sleep_towards(instant: Option<DateTime<Utc>>) {
    let left = instant.map(|instant| (instant - Utc::now()).to_std().unwrap_or_default());
    tokio::time::sleep(left.unwrap_or(LOOK_AGAIN).min(LOOK_AGAIN)).await;
}

/// Begins every run of the instant, whether or not the last one has ended. False when the version takes no more.
fn fire(version: &Runs, next: &Next) -> bool {
    let Some(in_flight) = enter(&version.life) else {
        return false;
    };
    for &index in &next.schedules {
        let run = version.runs[index].clone();
        let in_flight = in_flight.clone();
        tasks::spawn("cron-run", async move {
            let _in_flight = in_flight;
            run.fire().await;
        });
    }
    true
}
