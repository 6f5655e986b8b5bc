//! One queue that is asked for messages, for as long as an app is behind it.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::config::BehaviorVersion;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, Message, MessageSystemAttributeName, QueueAttributeName,
};
use tokio::sync::{OnceCell, OwnedSemaphorePermit, Semaphore};

use super::message::Handler;
use crate::errors::chain;
use crate::tasks;
use crate::trigger::event::{Current, Delays, enter};
use crate::trigger::guest::Life;

/// Messages of one queue that are handled at once. The plug-in has no limit; the host's memory has.
const MAX_AT_ONCE: usize = 500;
/// How long a message is hidden from others, where the queue does not say.
const DEFAULT_VISIBILITY: Duration = Duration::from_secs(30);
/// The shortest time between two renewals.
const MIN_RENEWAL: Duration = Duration::from_secs(1);
/// How long an answer is waited for that nobody wants any more.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);
/// How long one request to the service may take, its retries included.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// A queue, and how it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Queue {
    pub(super) url: String,
    pub(super) max_messages: u16,
    /// After an answer without messages; after a failure too, and then growing.
    pub(super) idle_wait: Duration,
    pub(super) system_attributes: Vec<String>,
    pub(super) message_attributes: Vec<String>,
}

/// What one version of an app does with the messages of one queue.
pub(super) struct Consumer {
    pub(super) app: Arc<str>,
    pub(super) life: Life,
    pub(super) handler: Arc<Handler>,
}

/// The way to the service: credentials and region from the environment, looked for at the first use.
#[derive(Clone, Default)]
pub(super) struct Client(Arc<OnceCell<aws_sdk_sqs::Client>>);

impl Client {
    async fn get(&self) -> &aws_sdk_sqs::Client {
        let make = async || {
            let config = aws_config::load_defaults(BehaviorVersion::latest()).await;
            aws_sdk_sqs::Client::new(&config)
        };
        self.0.get_or_init(make).await
    }
}

/// A queue that is being asked.
struct Poller {
    queue: Queue,
    client: aws_sdk_sqs::Client,
    /// Asked for once; the default until it is known.
    visibility: OnceCell<Duration>,
}

/// Asks until nothing is current.
pub(super) async fn keep(queue: Queue, client: Client, mut current: Current<Consumer>) {
    let poller = tokio::select! {
        client = client.get() => Poller { queue, client: client.clone(), visibility: OnceCell::new() },
        () = closed(&mut current) => return,
    };
    let poller = Arc::new(poller);
    let places = Arc::new(Semaphore::new(MAX_AT_ONCE));
    let mut delays = Delays::new();
    loop {
        let Some(app) = current.borrow().as_deref().map(|consumer| consumer.app.clone()) else {
            return;
        };
        let place = tokio::select! {
            place = places.clone().acquire_owned() => place,
            () = closed(&mut current) => return,
        };
        let asked = tokio::select! {
            // An answer that is on its way is waited for: its messages are hidden from others already.
            asked = poller.receive(&app, &places, place.into_iter().collect()) => asked,
            () = async { closed(&mut current).await; tokio::time::sleep(LEAVE_TIMEOUT).await } => return,
        };
        let wait = match &asked {
            None => poller.queue.idle_wait.max(delays.next()),
            Some(_) => {
                delays = Delays::new();
                poller.queue.idle_wait
            }
        };
        let asked = asked.unwrap_or_default();
        if asked.is_empty() {
            tokio::select! {
                () = tokio::time::sleep(wait) => continue,
                () = closed(&mut current) => return,
            }
        }
        if current.borrow().is_none() {
            poller.give_back(&app, asked).await;
            return;
        }
        for (message, place) in asked {
            let (poller, current) = (poller.clone(), current.clone());
            tasks::spawn("sqs-message", async move {
                let _place = place;
                poller.deliver(current, message).await;
            });
        }
    }
}

impl Poller {
    /// The next messages, each with its place. `None` is a failure, which is logged.
    async fn receive(
        &self,
        app: &str,
        places: &Arc<Semaphore>,
        mut taken: Vec<OwnedSemaphorePermit>,
    ) -> Option<Vec<Received>> {
        while taken.len() < usize::from(self.queue.max_messages)
            && let Ok(place) = places.clone().try_acquire_owned()
        {
            taken.push(place);
        }
        let system = &self.queue.system_attributes;
        let system = system
            .iter()
            .map(|name| MessageSystemAttributeName::from(name.as_str()));
        let own = &self.queue.message_attributes;
        let request = self
            .client
            .receive_message()
            .queue_url(&self.queue.url)
            // At most ten.
            .max_number_of_messages(taken.len() as i32)
            .set_message_system_attribute_names(
                Some(system.collect()).filter(|names: &Vec<_>| !names.is_empty()),
            )
            .set_message_attribute_names(Some(own.clone()).filter(|names| !names.is_empty()));
        match in_time(request.send()).await {
            Ok(received) => {
                let messages = received.messages.unwrap_or_default();
                Some(messages.into_iter().zip(taken).collect())
            }
            Err(error) => {
                tracing::warn!(
                    app,
                    queue = self.queue.url,
                    error,
                    "no messages from the SQS queue: it is tried again"
                );
                None
            }
        }
    }

    /// Shows messages to others again that came after the last version had gone. Without it they would stay hidden for as
    /// long as the queue says.
    async fn give_back(&self, app: &str, received: Vec<Received>) {
        let entries = received.iter().enumerate().map(|(place, (message, _))| {
            ChangeMessageVisibilityBatchRequestEntry::builder()
                .id(place.to_string())
                .set_receipt_handle(message.receipt_handle.clone())
                .visibility_timeout(0)
                .build()
        });
        // What has no handle can't be named to the service.
        let entries = entries.filter_map(Result::ok).collect();
        let request = self
            .client
            .change_message_visibility_batch()
            .queue_url(&self.queue.url)
            .set_entries(Some(entries));
        let given_back = tokio::time::timeout(LEAVE_TIMEOUT, in_time(request.send())).await;
        if !matches!(given_back, Ok(Ok(_))) {
            tracing::warn!(
                app,
                queue = self.queue.url,
                "messages that came too late appear again after a while"
            );
        }
    }

    /// Gives a message to the app, keeps it hidden meanwhile, and deletes it when the guest says so.
    async fn deliver(&self, mut current: Current<Consumer>, message: Message) {
        loop {
            let Some(consumer) = current.borrow_and_update().clone() else {
                // It appears again for whoever asks next.
                return;
            };
            if let Some(_in_flight) = enter(&consumer.life) {
                let done = tokio::select! {
                    done = consumer.handler.handle(&message) => done,
                    () = self.keep_hidden(&consumer.app, &message) => false,
                };
                if done {
                    tokio::select! {
                        () = self.delete(&consumer.app, &message) => {}
                        () = consumer.life.force.cancelled() => {}
                    }
                }
                return;
            }
            if current.changed().await.is_err() {
                return;
            }
        }
    }

    /// Never ends.
    async fn keep_hidden(&self, app: &str, message: &Message) {
        let visibility = *self.visibility.get_or_init(|| self.ask_visibility()).await;
        let seconds = i32::try_from(visibility.as_secs()).unwrap_or(i32::MAX);
        loop {
            tokio::time::sleep((visibility / 2).max(MIN_RENEWAL)).await;
            let request = self
                .client
                .change_message_visibility()
                .queue_url(&self.queue.url)
                .set_receipt_handle(message.receipt_handle.clone())
                .visibility_timeout(seconds);
            if let Err(error) = in_time(request.send()).await {
                tracing::warn!(
                    app,
                    queue = self.queue.url,
                    error,
                    "a message in hand may appear again"
                );
            }
        }
    }

    async fn ask_visibility(&self) -> Duration {
        let request = self
            .client
            .get_queue_attributes()
            .queue_url(&self.queue.url)
            .attribute_names(QueueAttributeName::VisibilityTimeout);
        let asked = in_time(request.send()).await.ok();
        let seconds = asked
            .and_then(|asked| asked.attributes)
            .and_then(|mut attributes| attributes.remove(&QueueAttributeName::VisibilityTimeout))
            .and_then(|seconds| seconds.parse().ok());
        seconds.map_or(DEFAULT_VISIBILITY, Duration::from_secs)
    }

    async fn delete(&self, app: &str, message: &Message) {
        let request = self
            .client
            .delete_message()
            .queue_url(&self.queue.url)
            .set_receipt_handle(message.receipt_handle.clone());
        if let Err(error) = in_time(request.send()).await {
            tracing::error!(
                app,
                queue = self.queue.url,
                error,
                "a message that was handled can't be deleted"
            );
        }
    }
}

/// A message, and its place among those that are handled at once.
type Received = (Message, OwnedSemaphorePermit);

/// The answer to a request, or what is wrong, in words with all layers.
async fn in_time<T, E: std::error::Error>(request: impl Future<Output = Result<T, E>>) -> Result<T, String> {
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(answer) => answer.map_err(|error| chain(&error)),
        Err(_) => Err(format!("no answer within {REQUEST_TIMEOUT:?}")),
    }
}

async fn closed(current: &mut Current<Consumer>) {
    // An error means that the slot is gone, which is the same.
    let _ = current.wait_for(Option::is_none).await;
}
