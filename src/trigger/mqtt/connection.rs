//! One connection to a broker, subscribed to one filter of topics, for as long as an app is behind it.
//!
//! Two sides share it: one reads all the time, keeps the connection alive and opens it again; the other hands the messages
//! to the guest, one after the other, and acknowledges each when it has been handled.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, Outgoing, Packet, Publish, QoS, SubscribeReasonCode};
use tokio::sync::mpsc::UnboundedReceiver;

use super::backlog::{Backlog, Received};
use super::broker::Broker;
use super::message::Handler;
use crate::trigger::event::{Current, Delays, enter};
use crate::trigger::guest::Life;

/// How long taking leave of the broker may take.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(2);

/// What one version of an app does with the messages of one connection.
pub(super) struct Subscriber {
    pub(super) app: Arc<str>,
    pub(super) life: Life,
    pub(super) handler: Arc<Handler>,
}

/// What the two sides know of the connection.
#[derive(Default)]
struct Link {
    connected: AtomicBool,
    /// Counts connections: what came by an earlier one can't be acknowledged any more, and its number may be another's.
    connection: AtomicU64,
}

/// Keeps the connection open, until nothing is current; the message in hand is finished and acknowledged even then.
pub(super) async fn keep(broker: Broker, topic: String, qos: QoS, current: Current<Subscriber>) {
    let Some(app) = current
        .borrow()
        .as_ref()
        .map(|subscriber| subscriber.app.to_string())
    else {
        return;
    };
    let options = broker.options();
    let capacity = options.request_channel_capacity();
    let (client, events) = AsyncClient::new(options, capacity);
    let link = Link::default();
    let (backlog, received) = Backlog::new();
    let reader = Reader {
        app: &app,
        broker: &broker,
        topic: &topic,
        qos,
        client: &client,
        link: &link,
        backlog: &backlog,
    };
    let mut reading = pin!(reader.read(events));
    tokio::select! {
        () = &mut reading => {}
        () = work(&app, &client, &link, &backlog, received, current) => {}
    }
    if link.connected.load(Ordering::Relaxed) && client.try_disconnect().is_ok() {
        // Without an answer it is left all the same.
        let _ = tokio::time::timeout(LEAVE_TIMEOUT, reading).await;
    }
}

struct Reader<'a> {
    app: &'a str,
    broker: &'a Broker,
    topic: &'a str,
    qos: QoS,
    client: &'a AsyncClient,
    link: &'a Link,
    backlog: &'a Backlog,
}

impl Reader<'_> {
    /// Ends when the client has taken leave.
    async fn read(self, mut events: EventLoop) {
        let mut delays = Delays::new();
        let mut began = Instant::now();
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::ConnAck(_))) => {
                    began = Instant::now();
                    self.link.connected.store(true, Ordering::Relaxed);
                    // There is room for every request that there can be, and the filter is a good one.
                    if let Err(error) = self.client.try_subscribe(self.topic, self.qos) {
                        tracing::error!(app = self.app, topic = self.topic, %error, "can't subscribe");
                    }
                }
                Ok(Event::Incoming(Packet::SubAck(answer))) => self.subscribed(&answer.return_codes),
                Ok(Event::Incoming(Packet::Publish(publish))) => self.received(publish),
                Ok(Event::Outgoing(Outgoing::Disconnect)) => return,
                Ok(_) => {}
                Err(error) => {
                    let was_connected = self.link.connected.swap(false, Ordering::Relaxed);
                    self.link.connection.fetch_add(1, Ordering::Relaxed);
                    tracing::warn!(
                        app = self.app, broker = %self.broker, was_connected, error = &error as &dyn std::error::Error,
                        "no connection to the MQTT broker: it is tried again"
                    );
                    if was_connected {
                        delays.lasted(began.elapsed());
                    }
                    tokio::time::sleep(delays.next()).await;
                }
            }
        }
    }

    fn subscribed(&self, codes: &[SubscribeReasonCode]) {
        let (app, broker, topic) = (self.app, self.broker, self.topic);
        if codes.contains(&SubscribeReasonCode::Failure) {
            tracing::error!(app, %broker, topic, "the MQTT broker refuses the subscription: it gives no reason");
        } else {
            tracing::info!(app, %broker, topic, "subscribed at the MQTT broker");
        }
    }

    fn received(&self, publish: Publish) {
        let connection = self.link.connection.load(Ordering::Relaxed);
        if !self.backlog.push(Received { publish, connection }) {
            tracing::warn!(
                app = self.app,
                topic = self.topic,
                "the guest is slower than its messages: those sent at most once are dropped for now"
            );
        }
    }
}

/// Hands messages over until nothing is current.
async fn work(
    app: &str,
    client: &AsyncClient,
    link: &Link,
    backlog: &Backlog,
    mut received: UnboundedReceiver<Received>,
    mut current: Current<Subscriber>,
) {
    loop {
        let message = tokio::select! {
            biased;
            // An error means that the slot is gone, which is the same.
            _ = current.wait_for(Option::is_none) => return,
            message = received.recv() => message,
        };
        let Some(Received { publish, connection }) = message else {
            return;
        };
        let dropped = backlog.taken(&publish);
        if dropped > 0 {
            tracing::warn!(app, dropped, "messages were dropped");
        }
        let handled = deliver(&mut current, &publish).await;
        if handled
            && connection == link.connection.load(Ordering::Relaxed)
            && let Err(error) = client.try_ack(&publish)
        {
            tracing::warn!(app, %error, "a message can't be acknowledged");
        }
    }
}

/// False when there is no version any more to handle it.
async fn deliver(current: &mut Current<Subscriber>, publish: &Publish) -> bool {
    loop {
        let Some(subscriber) = current.borrow_and_update().clone() else {
            return false;
        };
        if let Some(_in_flight) = enter(&subscriber.life) {
            subscriber.handler.handle(publish).await;
            return true;
        }
        if current.changed().await.is_err() {
            return false;
        }
    }
}
