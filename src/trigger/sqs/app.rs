//! One version of an app's SQS triggers: prepared, then put behind its pollers.

use std::collections::HashMap;
use std::sync::Arc;

use chrono_tz::Tz;

use super::KIND;
use super::message::Handler;
use super::plan::SqsPlan;
use super::poll::{self, Client, Consumer, Queue};
use crate::app::{Component, LockedApp};
use crate::runtime::Runtime;
use crate::trigger::event::{EventKind, PlanError, PrepareError, Running, Slots, link, run_behind};
use crate::trigger::guest::{AppInput, Life};

/// The pollers of the process, and what they all reach the service with. A cheap handle.
#[derive(Clone, Default)]
pub struct SqsShared {
    pollers: Slots<Key, Consumer>,
    client: Client,
}

/// What a poller is for. The place tells triggers apart that are alike.
type Key = (Arc<str>, Queue, usize);

/// One version of an app, ready to be put behind its pollers.
pub struct SqsApp {
    id: Arc<str>,
    life: Life,
    consumers: Vec<(Key, Arc<Consumer>)>,
}

impl EventKind for SqsShared {
    const KIND: &'static str = KIND;
    type Plan = SqsPlan;
    type App = SqsApp;

    fn plan(app: &LockedApp, _: Option<Tz>) -> Result<SqsPlan, PlanError> {
        SqsPlan::new(app)
    }

    fn components<'a>(plan: &'a SqsPlan, app: &'a LockedApp) -> impl Iterator<Item = &'a Component> {
        plan.configured.components(app)
    }

    /// Links and tries every component. Reaches no queue.
    async fn prepare(runtime: &Runtime, plan: SqsPlan, input: &AppInput<'_>) -> Result<SqsApp, PrepareError> {
        let life = Life::default();
        let mut handlers: HashMap<String, Arc<Handler>> = HashMap::new();
        let mut consumers: Vec<(Key, Arc<Consumer>)> = Vec::new();
        for (id, queue) in plan.queues {
            let handler = match handlers.get(&id) {
                Some(handler) => handler.clone(),
                None => {
                    let handler = Arc::new(Handler::new(&id, link(runtime, input, &id, &life).await?).await?);
                    handlers.entry(id).or_insert(handler).clone()
                }
            };
            let place = consumers
                .iter()
                .filter(|((_, other, _), _)| *other == queue)
                .count();
            let consumer = Consumer {
                app: input.id.clone(),
                life: life.clone(),
                handler,
            };
            consumers.push(((input.id.clone(), queue, place), consumer.into()));
        }
        Ok(SqsApp {
            id: input.id.clone(),
            life,
            consumers,
        })
    }

    /// Puts the app behind its pollers, which begin now where they are not at work yet. What was behind them gets no more
    /// messages.
    fn start(&self, app: SqsApp) -> Running {
        let mut about = Vec::new();
        let mut attached = Vec::new();
        for (key, consumer) in app.consumers {
            let (queue, client) = (key.1.clone(), self.client.clone());
            about.push(format!("{}: [{}]", queue.url, consumer.handler.component()));
            attached.push(self.pollers.attach(key, consumer, "sqs-poller", |current| {
                poll::keep(queue, client, current)
            }));
        }
        run_behind("sqs-trigger", app.id, app.life, attached, about)
    }
}
