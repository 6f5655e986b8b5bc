//! A component that gets messages, and how it is called.

use std::sync::Arc;

use rumqttc::Publish;
use wasmtime::Store;

use self::bindings::MqttMessageAsyncPre;
use self::bindings::spin::mqtt_trigger3_0_0::spin_mqtt_types::{Error, Metadata};
use super::plan::KIND;
use crate::runtime::HostState;
use crate::trigger::event::{Called, PrepareError, Prepared, run, try_instantiate, world_function};
use crate::trigger::guest::Guest;

const FUNCTION: &str = "handle-message";

mod bindings {
    // The older generation has the same types under another name, and a function that is not async: both are called alike.
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "lepton:host/mqtt-message-async",
    });
}

/// A component, instantiated anew for each message.
pub(super) struct Handler {
    guest: Arc<Guest>,
    pre: MqttMessageAsyncPre<HostState>,
}

impl Handler {
    /// Checks what the component exports, and makes one instance.
    pub(super) async fn new(id: &str, prepared: Prepared) -> Result<Self, PrepareError> {
        let Prepared {
            guest,
            pre,
            component,
        } = prepared;
        world_function(&component, id, FUNCTION)?;
        try_instantiate(&guest, &pre).await?;
        let pre = MqttMessageAsyncPre::new(pre).map_err(|source| PrepareError::Instantiate {
            component: id.to_owned(),
            source,
        })?;
        Ok(Self { guest, pre })
    }

    /// The id of the component.
    pub(super) fn component(&self) -> &str {
        &self.guest.settings.component
    }

    /// Gives a message to a new instance. Failures are logged; nothing is tried again.
    pub(super) async fn handle(&self, message: &Publish) {
        let pre = self.pre.clone();
        let (payload, topic) = (message.payload.to_vec(), message.topic.clone());
        run(KIND, &self.guest, self.pre.instance_pre(), |store| {
            call(pre, store, payload, Metadata { topic })
        })
        .await;
    }
}

async fn call(
    pre: MqttMessageAsyncPre<HostState>,
    mut store: Store<HostState>,
    payload: Vec<u8>,
    metadata: Metadata,
) -> Called<()> {
    let instance = pre.instantiate_async(&mut store).await?;
    let function = instance.func_handle_message();
    let (handled,) = function.call_async(&mut store, (payload, metadata)).await?;
    Ok(handled.map_err(|Error::Other(text)| text))
}
