//! One connection that is subscribed to channels, for as long as an app is behind it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use futures::future::{BoxFuture, FutureExt, join_all, poll_fn};
use futures::stream::Stream;
use redis::aio::{PubSub, PubSubSink, PubSubStream};
use redis::{Msg, RedisResult};

use super::gate::Gate;
use super::message::Handler;
use super::server::{ConnectError, Server};
use crate::trigger::event::{Current, Delays, enter};
use crate::trigger::guest::Life;

/// What one version of an app does with the messages of one server.
pub(super) struct Channels {
    pub(super) app: Arc<str>,
    pub(super) life: Life,
    /// Those of each channel.
    pub(super) handlers: BTreeMap<String, Vec<Arc<Handler>>>,
}

/// Why a connection was left.
enum Ended {
    /// No app is behind it any more.
    Closed,
    Lost,
    Refused(redis::RedisError),
}

/// Keeps the subscription open, until nothing is current.
pub(super) async fn keep(server: Server, mut current: Current<Channels>) {
    let mut delays = Delays::new();
    // The message being handled: the first of the next connection waits for the last of this one.
    let mut handling = None;
    loop {
        let Some(app) = current.borrow().as_deref().map(|channels| channels.app.clone()) else {
            return;
        };
        let gate = Arc::new(Gate::default());
        let began = Instant::now();
        let connected = tokio::select! {
            connected = server.connect(&gate) => connected,
            () = closed(&mut current) => return,
        };
        match connected {
            Err(error) => log_failure(&app, &server, &error),
            Ok(connection) => match serve(connection, &gate, &mut current, &mut handling, &server).await {
                Ended::Closed => return,
                Ended::Lost => {
                    tracing::warn!(%app, %server, "disconnected from the Redis server: connecting again")
                }
                Ended::Refused(error) => log_failure(&app, &server, &error.into()),
            },
        }
        delays.lasted(began.elapsed());
        tokio::select! {
            () = tokio::time::sleep(delays.next()) => {}
            () = closed(&mut current) => return,
        }
    }
}

fn log_failure(app: &str, server: &Server, error: &ConnectError) {
    let error = error as &dyn std::error::Error;
    tracing::warn!(app, %server, error, "can't subscribe at the Redis server: it is tried again");
}

/// Messages are handled one after the other; channels come and go meanwhile, so that a guest that takes its time does not
/// keep a new version from hearing.
async fn serve(
    connection: PubSub,
    gate: &Gate,
    current: &mut Current<Channels>,
    handling: &mut Option<BoxFuture<'static, ()>>,
    server: &Server,
) -> Ended {
    let (sink, mut messages) = connection.split();
    let mut subscribed = BTreeSet::new();
    let mut changing: Option<BoxFuture<'static, RedisResult<BTreeSet<String>>>> = None;
    loop {
        if changing.is_none() {
            let Some(channels) = current.borrow_and_update().clone() else {
                return Ended::Closed;
            };
            let wanted: BTreeSet<String> = channels.handlers.keys().cloned().collect();
            if wanted != subscribed {
                changing = Some(change(sink.clone(), subscribed.clone(), wanted).boxed());
            }
        }
        tokio::select! {
            changed = settled(&mut changing) => match changed {
                Ok(channels) => {
                    tracing::info!(%server, ?channels, "subscribed at the Redis server");
                    subscribed = channels;
                }
                Err(error) => return Ended::Refused(error),
            },
            () = settled(handling) => {}
            message = next(&mut messages, gate), if handling.is_none() => match message {
                Some(message) => *handling = Some(deliver(current.clone(), message).boxed()),
                None => return Ended::Lost,
            },
            changed = current.changed() => {
                if changed.is_err() || current.borrow().is_none() {
                    return Ended::Closed;
                }
            }
        }
    }
}

async fn change(
    mut sink: PubSubSink,
    subscribed: BTreeSet<String>,
    wanted: BTreeSet<String>,
) -> RedisResult<BTreeSet<String>> {
    let new: Vec<_> = wanted.difference(&subscribed).collect();
    if !new.is_empty() {
        sink.subscribe(new).await?;
    }
    let old: Vec<_> = subscribed.difference(&wanted).collect();
    if !old.is_empty() {
        sink.unsubscribe(old).await?;
    }
    Ok(wanted)
}

/// Waits for what is going on, if anything is, and forgets it then.
async fn settled<F: Future + Unpin>(future: &mut Option<F>) -> F::Output {
    match future {
        Some(going_on) => {
            let output = going_on.await;
            *future = None;
            output
        }
        None => std::future::pending().await,
    }
}

/// The next message; the gate opens when there is none yet.
async fn next(messages: &mut PubSubStream, gate: &Gate) -> Option<Msg> {
    poll_fn(|cx| {
        let polled = std::pin::Pin::new(&mut *messages).poll_next(cx);
        if polled.is_pending() {
            gate.open();
        }
        polled
    })
    .await
}

/// Gives a message to all handlers of its channel at once, and waits for all of them. They run in tasks of their own: when
/// this is dropped, they go on.
async fn deliver(mut current: Current<Channels>, message: Msg) {
    loop {
        let Some(channels) = current.borrow_and_update().clone() else {
            return;
        };
        if let Some(_in_flight) = enter(&channels.life) {
            let handlers = channels.handlers.get(message.get_channel_name());
            let calls = handlers.into_iter().flatten();
            join_all(calls.map(|handler| handler.handle(message.get_payload_bytes().to_vec()))).await;
            return;
        }
        if current.changed().await.is_err() {
            return;
        }
    }
}

async fn closed(current: &mut Current<Channels>) {
    // An error means that the slot is gone, which is the same.
    let _ = current.wait_for(Option::is_none).await;
}
