//! What all versions of the interface do.

use rumqttc::QoS;

use super::Mqtt;
use super::error::Error;
use super::links::Publisher;

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
