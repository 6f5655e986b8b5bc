//! MQTT for guests: `fermyon:spin/mqtt@2.0.0`, `spin:mqtt/mqtt@3.0.0` (`docs/contract/host-interfaces.md §5.9`).
//!
//! A guest only publishes, so nothing of one handle shows in another: handles with the same address, user and client
//! share a connection. A broker ends the connection of a client when another comes with its name, which instances that
//! run at the same time would do to each other. The packets are those of `rumqttc`; its event loop is not used, because
//! it resolves names itself, past the networks that the operator blocks, and does not tell which message was acknowledged.

mod address;
mod error;
mod link;
mod links;
mod publish;
mod v2;
mod v3;
mod wire;

use std::sync::Arc;

use rumqttc::QoS;
use rumqttc::mqttbytes::v4::Publish;
use wasmtime::component::{HasSelf, Linker};

use super::connections::{self, Connect};
use super::context::ComponentContext;
use super::error::InterfaceError;
use super::permission::OutboundPermission;
use crate::runtime::HostState;
use address::{Login, Target};
use error::Error;
use links::{Links, Publisher};

pub(super) use links::MqttBackends;

/// The scheme of an address that has none.
const DEFAULT_SCHEME: &str = "mqtt";
/// What a topic's length is written in.
const MAX_TOPIC: usize = u16::MAX as usize;
/// What a packet's length is written in, less the topic and the rest of its head.
const MAX_PAYLOAD: usize = 268_435_455 - MAX_TOPIC - 4;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "mqtt",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/mqtt@2.0.0.connection": super::Connection,
            "spin:mqtt/mqtt@3.0.0.connection": super::Connection,
        },
    });
}

/// `connection`.
#[expect(unreachable_pub, reason = "the generated bindings export it")]
pub type Connection = connections::Connection<Publisher>;

/// What all instances of one component share.
pub(super) struct Mqtt {
    permission: Arc<OutboundPermission>,
    links: Arc<Links>,
    /// Bytes.
    max_payload: usize,
}

impl Mqtt {
    /// Nothing is connected yet, so nothing can fail.
    pub(super) async fn of(
        context: &ComponentContext<'_>,
        backends: &MqttBackends,
    ) -> Result<Self, InterfaceError> {
        let limit = context.config.outbound_mqtt.max_payload_size_bytes;
        Ok(Self {
            permission: context.permission.clone(),
            links: backends.links(context.outbound),
            max_payload: limit.map_or(MAX_PAYLOAD, |limit| limit.min(MAX_PAYLOAD)),
        })
    }

    /// The connection is made when something is published.
    async fn open(&self, address: &str, login: Login) -> Result<Publisher, Error> {
        if !self.permission.allows(address, DEFAULT_SCHEME).await {
            return Err(Error::ConnectionFailed(format!(
                "address {address} is not permitted"
            )));
        }
        Ok(Links::open(&self.links, Target::parse(address, login)?))
    }

    /// A message that may be sent.
    fn message(&self, topic: String, payload: Vec<u8>, qos: QoS) -> Result<Publish, Error> {
        let is_name = !topic.is_empty() && !topic.contains(['+', '#', '\0']);
        if !is_name || topic.len() > MAX_TOPIC {
            return Err(Error::Other(
                "the topic is not one that can be published to".into(),
            ));
        }
        if payload.len() > self.max_payload {
            return Err(Error::Other(format!(
                "the payload of {} bytes exceeds the limit of {} bytes",
                payload.len(),
                self.max_payload
            )));
        }
        Ok(Publish::new(topic, qos, payload))
    }
}

impl Connect for Mqtt {
    type Address = (String, Login);
    type Session = Publisher;
    type Error = Error;

    fn too_many() -> Error {
        Error::TooManyConnections
    }

    async fn connect(&self, (address, login): (String, Login)) -> Result<Publisher, Error> {
        self.open(&address, login).await
    }
}

/// Defines the versions that have nothing asynchronous.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin2_0_0::mqtt::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::mqtt::mqtt::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}
