//! The generation of `spin:*@3.0.0`, whose functions are asynchronous.

use crate::{Answer, answer, next};

struct Events;

/// Counts an event, then answers it.
async fn event(event: &str, text: &str) -> Answer {
    let store = Store::open("default".into())
        .await
        .expect("the store `default` is granted");
    let count = next(store.get(event.into()).await.expect("a store that works"));
    store.set(event.into(), count).await.expect("a store that works");
    answer(event, text)
}

#[cfg(feature = "redis3")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import spin:key-value/key-value@3.0.0;
                export spin:redis/inbound-redis@3.0.0;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    use exports::spin::redis::inbound_redis::{Error, Guest};

    impl Guest for super::Events {
        async fn handle_message(message: Vec<u8>) -> Result<(), Error> {
            let text = String::from_utf8_lossy(&message);
            match super::event(&format!("redis {text}"), &text).await {
                super::Answer::Done => Ok(()),
                super::Answer::Failed => Err(Error::Other("as the event asked for".into())),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "cron3")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import spin:key-value/key-value@3.0.0;
                include lepton:host/cron-event-async;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    impl Guest for super::Events {
        async fn handle_cron_event(metadata: Metadata) -> Result<(), Error> {
            super::event(&format!("cron {}", metadata.timestamp), "").await;
            Ok(())
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "mqtt3")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import spin:key-value/key-value@3.0.0;
                include lepton:host/mqtt-message-async;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    impl Guest for super::Events {
        async fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
            let text = String::from_utf8_lossy(&message);
            match super::event(&format!("mqtt {} {text}", metadata.topic), &text).await {
                super::Answer::Done => Ok(()),
                super::Answer::Failed => Err(Error::Other("as the event asked for".into())),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "sqs3")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import spin:key-value/key-value@3.0.0;
                include lepton:host/queue-message-async;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    use spin::sqs::sqs_types::MessageAttributeValue;

    impl Guest for super::Events {
        async fn handle_queue_message(message: Message) -> Result<MessageAction, Error> {
            let body = message.body.unwrap_or_default();
            let attributes = message.message_attributes.into_iter().map(|attribute| {
                let value = match attribute.value {
                    MessageAttributeValue::Str(text) => text,
                    MessageAttributeValue::Binary(bytes) => format!("{bytes:?}"),
                };
                (attribute.name, attribute.data_type, value)
            });
            match super::event(&crate::queued(attributes, &body), &body).await {
                super::Answer::Failed => Err(Error::Other("as the event asked for".into())),
                super::Answer::Done if body == "leave" => Ok(MessageAction::Leave),
                super::Answer::Done => Ok(MessageAction::Delete),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

use trigger::spin::key_value::key_value::Store;
