//! The configuration of MQTT triggers in a locked app.

use std::time::Duration;

use rumqttc::QoS;
use serde::Deserialize;

use crate::app::LockedApp;
use crate::trigger::event::{
    Configured, PlanError, TriggerConfig, invalid, read_settings, read_triggers, template,
};
use crate::variables::Template;

/// The kind of trigger that this room runs.
pub(super) const KIND: &str = "mqtt";

/// What an app's MQTT triggers say, before anything is loaded.
#[derive(Debug)]
pub struct MqttPlan {
    pub(super) configured: Configured<RawTrigger>,
    pub(super) address: Template,
    pub(super) username: Template,
    pub(super) password: Template,
    pub(super) keep_alive: Duration,
    pub(super) triggers: Vec<MqttTrigger>,
}

/// One trigger: topics, and the component that gets their messages.
#[derive(Debug)]
pub(super) struct MqttTrigger {
    pub(super) id: String,
    pub(super) component: String,
    pub(super) topic: Template,
    pub(super) qos: QoS,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: String,
    username: String,
    password: String,
    /// Seconds, as a text.
    keep_alive_interval: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    component: String,
    topic: String,
    qos: String,
}

impl TriggerConfig for RawTrigger {
    const KIND: &'static str = KIND;

    fn component(&self) -> &str {
        &self.component
    }
}

impl MqttPlan {
    /// Reads the MQTT triggers of `app`.
    pub fn new(app: &LockedApp) -> Result<Self, PlanError> {
        let configured: Configured<RawTrigger> = read_triggers(app)?;
        let settings: RawSettings = read_settings(app, KIND)?;
        let shared =
            |member, text: &str| template(|| "the app's settings for mqtt triggers".into(), member, text);
        // The protocol counts in 16 bits.
        let keep_alive = settings.keep_alive_interval.trim().parse::<u16>();
        let mut triggers = Vec::new();
        for (id, raw) in &configured.triggers {
            let qos = match raw.qos.as_str() {
                "0" => QoS::AtMostOnce,
                "1" => QoS::AtLeastOnce,
                "2" => QoS::ExactlyOnce,
                other => {
                    let what = format!("its `qos` is \"{other}\": it must be \"0\", \"1\" or \"2\"");
                    return Err(invalid::<RawTrigger>(id, what));
                }
            };
            triggers.push(MqttTrigger {
                id: id.clone(),
                component: raw.component.clone(),
                topic: template(|| format!("the mqtt trigger `{id}`"), "topic", &raw.topic)?,
                qos,
            });
        }
        let keep_alive = keep_alive.map_err(|_| PlanError::Setting {
            kind: KIND,
            member: "keep_alive_interval",
            what: "is no number of seconds from 0 to 65535, such as \"30\"",
        })?;
        Ok(Self {
            address: shared("address", &settings.address)?,
            username: shared("username", &settings.username)?,
            password: shared("password", &settings.password)?,
            keep_alive: Duration::from_secs(keep_alive.into()),
            configured,
            triggers,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(keep_alive: &str, config: Value) -> Result<MqttPlan, PlanError> {
        let app = json!({
            "spin_lock_version": 1,
            "metadata": {"triggers": {"mqtt": {
                "address": "mqtt://{{ host }}", "username": "u", "password": "p", "keep_alive_interval": keep_alive
            }}},
            "triggers": [{"id": "t", "trigger_type": "mqtt", "trigger_config": config}],
            "components": [{"id": "a", "source": {"digest": "d"}}]
        });
        MqttPlan::new(&LockedApp::parse(app.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn texts_are_read_as_numbers() {
        let plan = plan("30", json!({"component": "a", "topic": "x/+", "qos": "1"})).unwrap();
        assert_eq!(plan.keep_alive, Duration::from_secs(30));
        assert_eq!(plan.triggers[0].qos, QoS::AtLeastOnce);
    }

    #[test]
    fn what_is_no_number_is_refused_with_the_choices() {
        let error = plan("30", json!({"component": "a", "topic": "x", "qos": "3"})).unwrap_err();
        assert!(error.to_string().contains("\"0\", \"1\" or \"2\""), "{error}");
        let error = plan("30s", json!({"component": "a", "topic": "x", "qos": "1"})).unwrap_err();
        assert!(error.to_string().contains("keep_alive_interval"), "{error}");
    }

    #[test]
    fn unknown_members_are_errors() {
        let error = plan(
            "1",
            json!({"component": "a", "topic": "x", "qos": "1", "channel": "c"}),
        );
        assert!(matches!(error, Err(PlanError::Config { .. })));
    }
}
