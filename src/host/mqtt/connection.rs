//! The handle that a guest has.

use std::sync::Arc;

use rumqttc::QoS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Mqtt;
use super::address::Login;
use super::error::Error;
use super::links::Publisher;

/// Handles that an instance may have open.
const MAX_HANDLES: usize = 1024;

/// `connection`.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub struct Connection {
    publisher: Arc<Publisher>,
    _place: OwnedSemaphorePermit,
}

/// What is kept for one instance: a place for each handle.
#[derive(Clone)]
pub(super) struct Handles(Arc<Semaphore>);

impl Default for Handles {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(MAX_HANDLES)))
    }
}

impl Connection {
    pub(super) async fn open(
        mqtt: &Mqtt,
        handles: &Handles,
        address: &str,
        login: Login,
    ) -> Result<Self, Error> {
        let place = handles.0.clone().try_acquire_owned();
        let place = place.map_err(|_| Error::TooManyConnections)?;
        Ok(Self {
            publisher: Arc::new(mqtt.open(address, login).await?),
            _place: place,
        })
    }

    pub(super) fn publisher(&self) -> Arc<Publisher> {
        self.publisher.clone()
    }
}

/// Waits until the message was written, or acknowledged where `qos` asks for that.
pub(super) async fn publish(
    mqtt: &Mqtt,
    publisher: &Publisher,
    topic: String,
    payload: Vec<u8>,
    qos: QoS,
) -> Result<(), Error> {
    publisher.publish(mqtt.message(topic, payload, qos)?).await
}
