//! A component that gets messages, how it is called, and what a message is to it.

use std::sync::Arc;

use aws_sdk_sqs::types::Message as SqsMessage;
use wasmtime::Store;

use self::bindings::QueueMessageAsyncPre;
use self::bindings::spin::sqs::sqs_types::{
    Error, Message, MessageAction, MessageAttribute, MessageAttributeValue,
};
use super::KIND;
use crate::runtime::HostState;
use crate::trigger::event::{Called, PrepareError, Prepared, run, try_instantiate, world_function};
use crate::trigger::guest::Guest;

const FUNCTION: &str = "handle-queue-message";

mod bindings {
    // The older generation has the same types under another name, and a function that is not async: both are called alike.
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "lepton:host/queue-message-async",
    });
}

/// A component, instantiated anew for each message.
pub(super) struct Handler {
    guest: Arc<Guest>,
    pre: QueueMessageAsyncPre<HostState>,
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
        let pre = QueueMessageAsyncPre::new(pre).map_err(|source| PrepareError::Instantiate {
            component: id.to_owned(),
            source,
        })?;
        Ok(Self { guest, pre })
    }

    /// The id of the component.
    pub(super) fn component(&self) -> &str {
        &self.guest.settings.component
    }

    /// Gives a message to a new instance, and says whether it is done with. Failures are logged; the message stays.
    pub(super) async fn handle(&self, message: &SqsMessage) -> bool {
        let (pre, message) = (self.pre.clone(), message_of(message));
        let action = run(KIND, &self.guest, self.pre.instance_pre(), |store| {
            call(pre, store, message)
        })
        .await;
        matches!(action, Some(MessageAction::Delete))
    }
}

async fn call(
    pre: QueueMessageAsyncPre<HostState>,
    mut store: Store<HostState>,
    message: Message,
) -> Called<MessageAction> {
    let instance = pre.instantiate_async(&mut store).await?;
    let function = instance.func_handle_queue_message();
    let (handled,) = function.call_async(&mut store, (message,)).await?;
    Ok(handled.map_err(|Error::Other(text)| text))
}

/// The system's attributes come first, as texts without a type. Both kinds are in the order of their names: the service
/// has none.
fn message_of(message: &SqsMessage) -> Message {
    let mut attributes: Vec<MessageAttribute> = Vec::new();
    for (name, value) in message.attributes.iter().flatten() {
        attributes.push(MessageAttribute {
            name: name.as_str().to_owned(),
            data_type: None,
            value: MessageAttributeValue::Str(value.clone()),
        });
    }
    attributes.sort_by(|a, b| a.name.cmp(&b.name));
    let mut own: Vec<MessageAttribute> = Vec::new();
    for (name, value) in message.message_attributes.iter().flatten() {
        let content = match (&value.string_value, &value.binary_value) {
            (Some(text), _) => MessageAttributeValue::Str(text.clone()),
            (None, Some(bytes)) => MessageAttributeValue::Binary(bytes.as_ref().to_vec()),
            // Lists are reserved by the service, and never sent.
            (None, None) => continue,
        };
        own.push(MessageAttribute {
            name: name.clone(),
            data_type: Some(value.data_type.clone()),
            value: content,
        });
    }
    own.sort_by(|a, b| a.name.cmp(&b.name));
    attributes.append(&mut own);
    Message {
        id: message.message_id.clone(),
        message_attributes: attributes,
        body: message.body.clone(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::primitives::Blob;
    use aws_sdk_sqs::types::{MessageAttributeValue as SqsValue, MessageSystemAttributeName};

    use super::*;

    #[test]
    fn system_attributes_come_first_and_have_no_type() {
        let binary = SqsValue::builder()
            .data_type("Binary")
            .binary_value(Blob::new([1, 2]))
            .build();
        let text = SqsValue::builder().data_type("String").string_value("t").build();
        let message = SqsMessage::builder()
            .message_id("i")
            .body("b")
            .attributes(MessageSystemAttributeName::SenderId, "s")
            .message_attributes("b", binary.unwrap())
            .message_attributes("a", text.unwrap())
            .build();
        let message = message_of(&message);
        assert_eq!(
            (message.id.as_deref(), message.body.as_deref()),
            (Some("i"), Some("b"))
        );
        let names: Vec<_> = message
            .message_attributes
            .iter()
            .map(|attribute| (attribute.name.as_str(), attribute.data_type.as_deref()))
            .collect();
        let expected = [("SenderId", None), ("a", Some("String")), ("b", Some("Binary"))];
        assert_eq!(names, expected);
        let last = &message.message_attributes[2].value;
        assert!(matches!(last, MessageAttributeValue::Binary(bytes) if bytes == &[1, 2]));
    }
}
