//! One version of an app's Redis triggers: prepared, then put behind its subscriptions.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono_tz::Tz;

use super::message::Handler;
use super::plan::{KIND, RedisPlan};
use super::server::Server;
use super::subscription::{self, Channels};
use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::event::{EventKind, PlanError, PrepareError, Running, Slots, link, resolve, run_behind};
use crate::trigger::guest::{AppInput, Life};

/// The subscriptions of the process. A cheap handle.
#[derive(Clone, Default)]
pub struct RedisShared {
    subscriptions: Slots<(Arc<str>, Server), Channels>,
}

/// One version of an app, ready to be put behind its subscriptions.
pub struct RedisApp {
    id: Arc<str>,
    life: Life,
    servers: HashMap<Server, Arc<Channels>>,
}

impl EventKind for RedisShared {
    const KIND: &'static str = KIND;
    type Plan = RedisPlan;
    type App = RedisApp;

    fn plan(app: &LockedApp, _: Option<Tz>) -> Result<RedisPlan, PlanError> {
        RedisPlan::new(app)
    }

    fn components<'a>(plan: &'a RedisPlan, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        plan.configured.components(app)
    }

    /// Links and tries every component, and resolves the addresses and channels, once. Reaches no server.
    async fn prepare(
        runtime: &Runtime,
        plan: RedisPlan,
        input: &AppInput<'_>,
    ) -> Result<RedisApp, PrepareError> {
        let life = Life::default();
        let mut handlers: HashMap<&str, Arc<Handler>> = HashMap::new();
        let mut servers: HashMap<Server, BTreeMap<String, Vec<Arc<Handler>>>> = HashMap::new();
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
            let owner = format!("the redis trigger `{}`", trigger.id);
            let address = resolve(&input.variables, &trigger.address, &owner, "address").await?;
            let channel = resolve(&input.variables, &trigger.channel, &owner, "channel").await?;
            let server = Server::parse(&address).map_err(|what| PrepareError::Setting {
                owner,
                member: "address",
                what: what.to_owned(),
            })?;
            let channels = servers.entry(server).or_default();
            channels.entry(channel).or_default().push(handler);
        }
        let channels = |handlers| {
            Arc::new(Channels {
                app: input.id.clone(),
                life: life.clone(),
                handlers,
            })
        };
        Ok(RedisApp {
            id: input.id.clone(),
            servers: servers
                .into_iter()
                .map(|(server, handlers)| (server, channels(handlers)))
                .collect(),
            life,
        })
    }

    /// Puts the app behind its subscriptions, which are opened where they are not open yet. What was behind them gets no more
    /// messages.
    fn start(&self, app: RedisApp) -> Running {
        let mut about = Vec::new();
        let mut attached = Vec::new();
        for (server, channels) in app.servers {
            for (channel, handlers) in &channels.handlers {
                let components: Vec<_> = handlers.iter().map(|handler| handler.component()).collect();
                about.push(format!("{server}/{channel}: [{}]", components.join(",")));
            }
            let key = (app.id.clone(), server.clone());
            attached.push(
                self.subscriptions
                    .attach(key, channels, "redis-subscription", |current| {
                        subscription::keep(server, current)
                    }),
            );
        }
        about.sort();
        run_behind("redis-trigger", app.id, app.life, attached, about)
    }
}
