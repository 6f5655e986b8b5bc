//! The configuration of Redis triggers in a locked app.

use serde::Deserialize;

use crate::app::LockedApp;
use crate::trigger::event::Configured;
use crate::trigger::event::{PlanError, TriggerConfig, invalid, read_settings, read_triggers, template};
use crate::variables::Template;

/// The kind of trigger that this room runs.
pub(super) const KIND: &str = "redis";

/// What an app's Redis triggers say, before anything is loaded.
#[derive(Debug)]
pub struct RedisPlan {
    pub(super) configured: Configured<RawTrigger>,
    pub(super) triggers: Vec<RedisTrigger>,
}

/// One trigger: a channel of a server, and the component that gets its messages.
#[derive(Debug)]
pub(super) struct RedisTrigger {
    pub(super) id: String,
    pub(super) component: String,
    pub(super) channel: Template,
    pub(super) address: Template,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    address: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrigger {
    component: String,
    channel: String,
    address: Option<String>,
}

impl TriggerConfig for RawTrigger {
    const KIND: &'static str = KIND;

    fn component(&self) -> &str {
        &self.component
    }
}

impl RedisPlan {
    /// Reads the Redis triggers of `app`.
    pub fn new(app: &LockedApp) -> Result<Self, PlanError> {
        let settings: RawSettings = read_settings(app, KIND)?;
        let configured: Configured<RawTrigger> = read_triggers(app)?;
        let mut triggers = Vec::new();
        for (id, raw) in &configured.triggers {
            let owner = || format!("the redis trigger `{id}`");
            let address = match (&raw.address, &settings.address) {
                (Some(own), _) => template(owner, "address", own)?,
                (None, Some(shared)) => template(
                    || "the app's settings for redis triggers".into(),
                    "address",
                    shared,
                )?,
                (None, None) => {
                    return Err(invalid::<RawTrigger>(
                        id,
                        "it has no `address`: give it one, or the app, for all its redis triggers",
                    ));
                }
            };
            triggers.push(RedisTrigger {
                id: id.clone(),
                component: raw.component.clone(),
                channel: template(owner, "channel", &raw.channel)?,
                address,
            });
        }
        Ok(Self { configured, triggers })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn plan(settings: Value, config: Value) -> Result<RedisPlan, PlanError> {
        let app = json!({
            "spin_lock_version": 1,
            "metadata": {"triggers": {"redis": settings}},
            "triggers": [{"id": "t", "trigger_type": "redis", "trigger_config": config}],
            "components": [{"id": "a", "source": {"digest": "d"}}, {"id": "b", "source": {"digest": "d"}}]
        });
        RedisPlan::new(&LockedApp::parse(app.to_string().as_bytes()).unwrap())
    }

    #[test]
    fn a_trigger_takes_the_address_of_the_app_unless_it_has_its_own() {
        let shared = json!({"address": "redis://shared"});
        for (config, expected) in [
            (json!({"component": "a", "channel": "c"}), "redis://shared"),
            (
                json!({"component": "a", "channel": "c", "address": "redis://own"}),
                "redis://own",
            ),
        ] {
            let plan = plan(shared.clone(), config).unwrap();
            assert_eq!(plan.triggers[0].address, Template::parse(expected).unwrap());
        }
    }

    #[test]
    fn without_any_address_the_app_is_refused_with_the_remedy() {
        let error = plan(json!({}), json!({"component": "a", "channel": "c"})).unwrap_err();
        assert!(error.to_string().contains("has no `address`"), "{error}");
    }

    #[test]
    fn unknown_members_are_errors_that_name_the_known_ones() {
        let error = plan(json!({}), json!({"component": "a", "chanel": "c"})).unwrap_err();
        let PlanError::Config { source, .. } = error else {
            panic!("{error}");
        };
        assert!(source.to_string().contains("`channel`"), "{source}");
        let settings = plan(json!({"adress": "x"}), json!({"component": "a", "channel": "c"}));
        assert!(matches!(settings, Err(PlanError::Settings { .. })));
    }

    #[test]
    fn a_component_that_is_not_there_is_refused() {
        let error = plan(json!({"address": "a"}), json!({"component": "x", "channel": "c"})).unwrap_err();
        assert!(error.to_string().contains("`x`"), "{error}");
    }
}
