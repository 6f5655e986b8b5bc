use std::time::Duration;

use serde_json::json;

use super::CronShared;
use crate::trigger::event::testing::{Stage, TestGuest};
use crate::trigger::event::{EventKind, Running};

/// Longer than any of these tests should take.
const LONG: Duration = Duration::from_secs(60);

async fn every_second(stage: &Stage, shared: &CronShared, guest: TestGuest, text: &str) -> Running {
    let trigger = json!({
        "id": "t",
        "trigger_type": "cron",
        "trigger_config": {"component": "guest", "cron_expression": "* * * * * *"}
    });
    let app = stage.app(guest, text, json!({}), json!([trigger]));
    let plan = CronShared::plan(&app.app, None).unwrap();
    let app = CronShared::prepare(&stage.runtime, plan, &app.input()).await;
    shared.start(app.unwrap())
}

#[tokio::test]
async fn guests_of_both_generations_are_fired_and_the_next_version_takes_over() {
    let (mut stage, shared) = (Stage::new(), CronShared::default());
    let old = every_second(&stage, &shared, TestGuest::Cron2, "old").await;
    assert_eq!(old.about, ["cron * * * * * * UTC: [guest]"]);
    assert_eq!(stage.seen().await, "old");
    // It goes on while the next is due.
    assert_eq!(stage.seen().await, "old");
    let new = every_second(&stage, &shared, TestGuest::Cron3, "new").await;
    old.stop.send(LONG).unwrap();
    assert_eq!(stage.seen().await, "new");
    assert!(!old.task.is_finished());
    stage.pass(100);
    old.task.await.unwrap();
    new.stop.send(LONG).unwrap();
    new.task.await.unwrap();
}

#[tokio::test]
async fn a_run_that_does_not_end_is_aborted_at_the_deadline() {
    let (mut stage, shared) = (Stage::new(), CronShared::default());
    let running = every_second(&stage, &shared, TestGuest::Cron2, "hangs").await;
    stage.seen().await;
    running.stop.send(Duration::from_millis(10)).unwrap();
    running.task.await.unwrap();
    assert!(stage.is_quiet());
}
