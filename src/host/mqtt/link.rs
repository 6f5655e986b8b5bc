//! A connection that is made when it is needed, and made again when it was lost.

use std::sync::Arc;

use rumqttc::mqttbytes::v4::Publish;
use tokio::sync::{Mutex, mpsc, oneshot};

use super::address::Target;
use super::error::Error;
use super::wire::{self, Order};
use crate::net::{IdlePool, Reusable};

/// One for all who have the same address and login.
pub(super) struct Link {
    pub(super) target: Target,
    wire: Mutex<Option<mpsc::Sender<Order>>>,
}

impl Link {
    pub(super) fn new(target: Target) -> Self {
        Self {
            target,
            wire: Mutex::new(None),
        }
    }

    /// Sends a message and waits until it was written, or acknowledged where it asks for that.
    pub(super) async fn publish(&self, idle: &IdlePool<Arc<Link>>, message: Publish) -> Result<(), Error> {
        let (done, reply) = oneshot::channel();
        let order = Order { message, done };
        let sent = self.wire(idle).await?.send(order).await;
        if let Err(mpsc::error::SendError(order)) = sent {
            // It ended a moment ago, and the message was not seen there.
            let sent = self.wire(idle).await?.send(order).await;
            sent.map_err(|_| lost())?;
        }
        reply.await.unwrap_or_else(|_| Err(lost()))
    }

    async fn wire(&self, idle: &IdlePool<Arc<Link>>) -> Result<mpsc::Sender<Order>, Error> {
        let mut wire = self.wire.lock().await;
        match &*wire {
            Some(wire) if !wire.is_closed() => Ok(wire.clone()),
            _ => {
                *wire = None;
                let permit = idle.permit().await?;
                let new = wire::connect(idle.outbound(), &self.target, permit).await?;
                *wire = Some(new.clone());
                Ok(new)
            }
        }
    }
}

fn lost() -> Error {
    Error::ConnectionFailed("the connection was lost".into())
}

impl Reusable for Arc<Link> {
    fn ended(&self) -> bool {
        // Somebody who connects has it locked, and is no reason to close it.
        self.wire
            .try_lock()
            .is_ok_and(|wire| wire.as_ref().is_none_or(mpsc::Sender::is_closed))
    }
}
