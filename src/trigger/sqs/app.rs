//! One version of an app's SQS triggers: prepared, then put behind its pollers.

use std::collections::HashMap;
use std::sync::Arc;

use super::message::Handler;
use super::plan::SqsPlan;
use super::poll::{self, Client, Consumer, Queue};
use crate::runtime::Runtime;
use crate::trigger::event::{PrepareError, Running, Slots, link, run_behind};
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

/// Links and tries every component. Reaches no queue.
pub async fn prepare(runtime: &Runtime, plan: SqsPlan, input: &AppInput<'_>) -> Result<SqsApp, PrepareError> {
    let life = Life::default();
    let mut handlers: HashMap<String, Arc<Handler>> = HashMap::new();
    let mut consumers: Vec<(Key, Arc<Consumer>)> = Vec::new();
    for (id, queue) in plan.queues {
        let handler = match handlers.get(&id) {
            Some(handler) => handler.clone(),
            None => {
                let handler = Arc::new(Handler::new(&id, link(runtime, input, &id, &life)?).await?);
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
pub fn start(shared: &SqsShared, app: SqsApp) -> Running {
    let mut about = Vec::new();
    let mut attached = Vec::new();
    for (key, consumer) in app.consumers {
        let (queue, client) = (key.1.clone(), shared.client.clone());
        about.push(format!("{}: [{}]", queue.url, consumer.handler.component()));
        attached.push(shared.pollers.attach(key, consumer, "sqs-poller", |current| {
            poll::keep(queue, client, current)
        }));
    }
    run_behind("sqs-trigger", app.id, app.life, attached, about)
}
