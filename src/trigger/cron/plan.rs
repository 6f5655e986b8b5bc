//! The configuration of cron triggers in a locked app.

use chrono::Utc;
use chrono_tz::Tz;
use serde::Deserialize;

use super::schedule::Schedule;
use crate::app::LockedApp;
use crate::trigger::event::{Configured, PlanError, TriggerConfig, invalid, read_triggers};

/// The kind of trigger that this room runs.
pub(super) const KIND: &str = "cron";

/// What an app's cron triggers say, before anything is loaded.
#[derive(Debug)]
pub struct CronPlan {
    pub(super) configured: Configured<RawTrigger>,
    /// Component ids, each with its schedule.
    pub(super) schedules: Vec<(String, Schedule)>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    component: String,
    cron_expression: String,
}

impl TriggerConfig for RawTrigger {
    const KIND: &'static str = KIND;

    fn component(&self) -> &str {
        &self.component
    }
}

impl CronPlan {
    /// Reads the cron triggers of `app`, whose schedules are those of `timezone`; UTC without one.
    pub fn new(app: &LockedApp, timezone: Option<Tz>) -> Result<Self, PlanError> {
        let configured: Configured<RawTrigger> = read_triggers(app)?;
        let mut schedules = Vec::new();
        for (id, raw) in &configured.triggers {
            let expression = &raw.cron_expression;
            let schedule = Schedule::parse(expression, timezone.unwrap_or(Tz::UTC)).map_err(|error| {
                let what = format!(
                    "its `cron_expression` \"{expression}\" is not six fields, second minute hour day month weekday: {error}"
                );
                invalid::<RawTrigger>(id, what)
            })?;
            if schedule.next_after(Utc::now()).is_none() {
                let what = format!("its `cron_expression` \"{expression}\" matches no time to come");
                return Err(invalid::<RawTrigger>(id, what));
            }
            schedules.push((raw.component.clone(), schedule));
        }
        Ok(Self {
            configured,
            schedules,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(config: Value) -> Result<CronPlan, PlanError> {
        let app = json!({
            "spin_lock_version": 1,
            "triggers": [{"id": "t", "trigger_type": "cron", "trigger_config": config}],
            "components": [{"id": "a", "source": {"digest": "d"}}]
        });
        CronPlan::new(&LockedApp::parse(app.to_string().as_bytes()).unwrap(), None)
    }

    #[test]
    fn a_schedule_is_in_utc_unless_the_operator_says_otherwise() {
        let plan = plan(json!({"component": "a", "cron_expression": "0 0 9 * * *"})).unwrap();
        assert_eq!(plan.schedules[0].1.timezone(), Tz::UTC);
    }

    #[test]
    fn a_bad_expression_is_told_with_the_trigger_and_the_fields() {
        for expression in ["* * * * *", "0 0 0 30 2 *"] {
            let error = plan(json!({"component": "a", "cron_expression": expression})).unwrap_err();
            let error = error.to_string();
            assert!(error.contains("`t`") && error.contains(expression), "{error}");
        }
    }

    #[test]
    fn unknown_members_are_errors() {
        let error = plan(json!({"component": "a", "cron_expression": "* * * * * *", "zone": "x"}));
        assert!(matches!(error, Err(PlanError::Config { .. })));
    }
}
