//! The configuration of SQS triggers in a locked app.

use std::time::Duration;

use serde::Deserialize;

use super::KIND;
use super::poll::Queue;
use crate::app::LockedApp;
use crate::trigger::event::{Configured, PlanError, TriggerConfig, invalid, read_triggers};

/// What one request may receive, as the service says.
const MAX_MESSAGES: u16 = 10;
const IDLE_WAIT_SECONDS: u64 = 2;

/// What an app's SQS triggers say, before anything is loaded.
#[derive(Debug)]
pub struct SqsPlan {
    pub(super) configured: Configured<RawTrigger>,
    /// Component ids, each with its queue.
    pub(super) queues: Vec<(String, Queue)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    component: String,
    queue_url: String,
    #[serde(default = "max_messages")]
    max_messages: u16,
    #[serde(default = "idle_wait_seconds")]
    idle_wait_seconds: u64,
    #[serde(default)]
    system_attributes: Option<Vec<String>>,
    #[serde(default)]
    message_attributes: Option<Vec<String>>,
}

fn max_messages() -> u16 {
    MAX_MESSAGES
}

fn idle_wait_seconds() -> u64 {
    IDLE_WAIT_SECONDS
}

impl TriggerConfig for RawTrigger {
    const KIND: &'static str = KIND;

    fn component(&self) -> &str {
        &self.component
    }
}

impl SqsPlan {
    /// Reads the SQS triggers of `app`.
    pub fn new(app: &LockedApp) -> Result<Self, PlanError> {
        let configured: Configured<RawTrigger> = read_triggers(app)?;
        let mut queues = Vec::new();
        for (id, raw) in &configured.triggers {
            if !(1..=MAX_MESSAGES).contains(&raw.max_messages) {
                let what = format!(
                    "its `max_messages` is {}: it must be 1 to {MAX_MESSAGES}",
                    raw.max_messages
                );
                return Err(invalid::<RawTrigger>(id, what));
            }
            let queue = Queue {
                url: raw.queue_url.clone(),
                max_messages: raw.max_messages,
                idle_wait: Duration::from_secs(raw.idle_wait_seconds),
                system_attributes: raw.system_attributes.clone().unwrap_or_default(),
                message_attributes: raw.message_attributes.clone().unwrap_or_default(),
            };
            queues.push((raw.component.clone(), queue));
        }
        Ok(Self { configured, queues })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(config: Value) -> Result<SqsPlan, PlanError> {
        let app = json!({
            "spin_lock_version": 1,
            "triggers": [{"id": "t", "trigger_type": "sqs", "trigger_config": config}],
            "components": [{"id": "a", "source": {"digest": "d"}}]
        });
        SqsPlan::new(&LockedApp::parse(app.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_queue_has_its_defaults() {
        let plan = plan(json!({"component": "a", "queue_url": "https://q"})).unwrap();
        let queue = &plan.queues[0].1;
        assert_eq!(
            (queue.max_messages, queue.idle_wait),
            (10, Duration::from_secs(2))
        );
    }

    #[test]
    fn more_than_the_service_gives_at_once_is_refused() {
        let error = plan(json!({"component": "a", "queue_url": "q", "max_messages": 11})).unwrap_err();
        assert!(error.to_string().contains("1 to 10"), "{error}");
    }

    #[test]
    fn unknown_members_are_errors() {
        let error = plan(json!({"component": "a", "queue_url": "q", "queue": "x"}));
        assert!(matches!(error, Err(PlanError::Config { .. })));
    }
}
