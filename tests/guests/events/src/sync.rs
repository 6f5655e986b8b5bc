//! The generation of `fermyon:spin`, whose functions are synchronous.

use crate::{Answer, answer, next};

struct Events;

/// Counts an event, then answers it.
fn event(event: &str, text: &str) -> Answer {
    let store = Store::open("default").expect("the store `default` is granted");
    let count = next(store.get(event).expect("a store that works"));
    store.set(event, &count).expect("a store that works");
    answer(event, text)
}

#[cfg(feature = "redis")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import fermyon:spin/key-value@2.0.0;
                export fermyon:spin/inbound-redis;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    use exports::fermyon::spin::inbound_redis::{Error, Guest};

    impl Guest for super::Events {
        fn handle_message(message: Vec<u8>) -> Result<(), Error> {
            let text = String::from_utf8_lossy(&message);
            match super::event(&format!("redis {text}"), &text) {
                super::Answer::Done => Ok(()),
                super::Answer::Failed => Err(Error::Error),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "cron")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import fermyon:spin/key-value@2.0.0;
                include lepton:host/cron-event;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    impl Guest for super::Events {
        fn handle_cron_event(metadata: Metadata) -> Result<(), Error> {
            super::event(&format!("cron {}", metadata.timestamp), "");
            Ok(())
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "mqtt")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import fermyon:spin/key-value@2.0.0;
                include lepton:host/mqtt-message;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    impl Guest for super::Events {
        fn handle_message(message: Vec<u8>, metadata: Metadata) -> Result<(), Error> {
            let text = String::from_utf8_lossy(&message);
            match super::event(&format!("mqtt {} {text}", metadata.topic), &text) {
                super::Answer::Done => Ok(()),
                super::Answer::Failed => Err(Error::Other("as the event asked for".into())),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

#[cfg(feature = "sqs")]
mod trigger {
    wit_bindgen::generate!({
        inline: "
            package lepton:events;
            world guest {
                import fermyon:spin/key-value@2.0.0;
                include lepton:host/queue-message;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:events/guest",
        generate_all,
    });

    use fermyon::spin_sqs::sqs_types::MessageAttributeValue;

    impl Guest for super::Events {
        fn handle_queue_message(message: Message) -> Result<MessageAction, Error> {
            let body = message.body.unwrap_or_default();
            let attributes = message.message_attributes.into_iter().map(|attribute| {
                let value = match attribute.value {
                    MessageAttributeValue::Str(text) => text,
                    MessageAttributeValue::Binary(bytes) => format!("{bytes:?}"),
                };
                (attribute.name, attribute.data_type, value)
            });
            match super::event(&crate::queued(attributes, &body), &body) {
                super::Answer::Failed => Err(Error::Other("as the event asked for".into())),
                super::Answer::Done if body == "leave" => Ok(MessageAction::Leave),
                super::Answer::Done => Ok(MessageAction::Delete),
            }
        }
    }

    export!(Events with_types_in self);
    use super::Events;
}

use trigger::fermyon::spin2_0_0::key_value::Store;
