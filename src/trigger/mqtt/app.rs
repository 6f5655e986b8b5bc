//! One version of an app's MQTT triggers: prepared, then put behind its connections.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use chrono_tz::Tz;
use rumqttc::{QoS, valid_filter};

use super::broker::Broker;
use super::connection::{self, Subscriber};
use super::message::Handler;
use super::plan::{KIND, MqttPlan};
use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::event::{EventKind, PlanError, PrepareError, Running, Slots, link, resolve, run_behind};
use crate::trigger::guest::{AppInput, Life};

/// The connections of the process. A cheap handle.
#[derive(Clone, Default)]
pub struct MqttShared {
    connections: Slots<Key, Subscriber>,
}

/// One version of an app, ready to be put behind its connections.
pub struct MqttApp {
    id: Arc<str>,
    life: Life,
    subscribers: Vec<(Key, Arc<Subscriber>)>,
}

/// What a connection is for. A trigger that asks for the same as the last version's gets the same.
#[derive(Clone, PartialEq, Eq)]
struct Key {
    app: Arc<str>,
    broker: Broker,
    topic: String,
    qos: QoS,
    /// Tells triggers apart that are alike.
    place: usize,
}

impl Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.app.hash(state);
        self.topic.hash(state);
    }
}

impl EventKind for MqttShared {
    const KIND: &'static str = KIND;
    type Plan = MqttPlan;
    type App = MqttApp;

    fn plan(app: &LockedApp, _: Option<Tz>) -> Result<MqttPlan, PlanError> {
        MqttPlan::new(app)
    }

    fn components<'a>(plan: &'a MqttPlan, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        plan.configured.components(app)
    }

    /// Links and tries every component, and resolves the broker and the topics, once. Reaches no broker.
    async fn prepare(
        runtime: &Runtime,
        plan: MqttPlan,
        input: &AppInput<'_>,
    ) -> Result<MqttApp, PrepareError> {
        let life = Life::default();
        let settings = "the app's settings for mqtt triggers";
        let shared = |template, member| resolve(&input.variables, template, settings, member);
        let broker = Broker::parse(
            &shared(&plan.address, "address").await?,
            shared(&plan.username, "username").await?,
            shared(&plan.password, "password").await?,
            plan.keep_alive,
        );
        let broker = broker.map_err(|what| PrepareError::Setting {
            owner: settings.into(),
            member: "address",
            what: what.into(),
        })?;
        let mut handlers: HashMap<&str, Arc<Handler>> = HashMap::new();
        let mut subscribers: Vec<(Key, Arc<Subscriber>)> = Vec::new();
        for trigger in &plan.triggers {
            let id = trigger.component.as_str();
            let handler = match handlers.get(id) {
                Some(handler) => handler.clone(),
                None => {
                    let handler = Arc::new(Handler::new(id, link(runtime, input, id, &life).await?).await?);
                    handlers.insert(id, handler.clone());
                    handler
                }
            };
            let owner = format!("the mqtt trigger `{}`", trigger.id);
            let topic = resolve(&input.variables, &trigger.topic, &owner, "topic").await?;
            if !valid_filter(&topic) {
                return Err(PrepareError::Setting {
                    owner,
                    member: "topic",
                    what: format!(
                        "is \"{topic}\", not a topic or a filter of topics such as `a/b`, `a/+/c` or `a/#`"
                    ),
                });
            }
            let alike = |key: &Key| key.topic == topic && key.qos == trigger.qos;
            let place = subscribers.iter().filter(|(key, _)| alike(key)).count();
            let key = Key {
                app: input.id.clone(),
                broker: broker.clone(),
                topic,
                qos: trigger.qos,
                place,
            };
            let subscriber = Subscriber {
                app: input.id.clone(),
                life: life.clone(),
                handler,
            };
            subscribers.push((key, subscriber.into()));
        }
        Ok(MqttApp {
            id: input.id.clone(),
            life,
            subscribers,
        })
    }

    /// Puts the app behind its connections, which are opened where they are not open yet. What was behind them gets no more
    /// messages.
    fn start(&self, app: MqttApp) -> Running {
        let mut about = Vec::new();
        let mut attached = Vec::new();
        for (key, subscriber) in app.subscribers {
            let Key {
                broker, topic, qos, ..
            } = key.clone();
            about.push(format!("{broker}/{topic}: [{}]", subscriber.handler.component()));
            attached.push(
                self.connections
                    .attach(key, subscriber, "mqtt-connection", |current| {
                        connection::keep(broker, topic, qos, current)
                    }),
            );
        }
        run_behind("mqtt-trigger", app.id, app.life, attached, about)
    }
}
