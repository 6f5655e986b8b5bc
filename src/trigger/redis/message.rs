//! A component that gets messages: which of the two interfaces it exports, and how it is called.

use std::sync::Arc;

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre};

use self::current::RedisMessageAsyncPre;
use self::current::spin::redis::redis::Error as CurrentError;
use self::old::RedisMessagePre;
use super::plan::KIND;
use crate::runtime::HostState;
use crate::trigger::event::{Called, PrepareError, Prepared, run, try_instantiate};
use crate::trigger::guest::Guest;

const OLD: &str = "fermyon:spin/inbound-redis";
/// Any version that a later patch may bring.
const CURRENT: &str = "spin:redis/inbound-redis@3.";

mod old {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "lepton:host/redis-message",
        exports: { default: async },
    });
}

mod current {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "lepton:host/redis-message-async",
        exports: { default: async },
    });
}

/// A component, instantiated anew for each message.
pub(super) struct Handler {
    guest: Arc<Guest>,
    export: Export,
}

#[derive(Clone)]
enum Export {
    Old(RedisMessagePre<HostState>),
    Current(RedisMessageAsyncPre<HostState>),
}

impl Handler {
    /// Finds out what the component exports, and makes one instance.
    pub(super) async fn new(id: &str, prepared: Prepared) -> Result<Self, PrepareError> {
        let Prepared {
            guest,
            pre,
            component,
        } = prepared;
        let generation = exported(&component, id)?;
        let error = |source| PrepareError::Instantiate {
            component: id.to_owned(),
            source,
        };
        try_instantiate(&guest, &pre).await?;
        let export = match generation {
            Generation::Old => Export::Old(RedisMessagePre::new(pre).map_err(error)?),
            Generation::Current => Export::Current(RedisMessageAsyncPre::new(pre).map_err(error)?),
        };
        Ok(Self { guest, export })
    }

    /// The id of the component.
    pub(super) fn component(&self) -> &str {
        &self.guest.settings.component
    }

    /// Gives a message to a new instance. Failures are logged; nothing is tried again.
    pub(super) async fn handle(&self, payload: Vec<u8>) {
        let export = self.export.clone();
        run(KIND, &self.guest, self.export.instance_pre(), |store| {
            export.call(store, payload)
        })
        .await;
    }
}

impl Export {
    fn instance_pre(&self) -> &InstancePre<HostState> {
        match self {
            Self::Old(pre) => pre.instance_pre(),
            Self::Current(pre) => pre.instance_pre(),
        }
    }

    async fn call(self, mut store: Store<HostState>, payload: Vec<u8>) -> Called<()> {
        match self {
            Export::Old(pre) => {
                let instance = pre.instantiate_async(&mut store).await?;
                let handler = instance.fermyon_spin_inbound_redis();
                let handled = handler.call_handle_message(&mut store, &payload).await?;
                Ok(handled.map_err(|error| format!("{error:?}")))
            }
            Export::Current(pre) => {
                let instance = pre.instantiate_async(&mut store).await?;
                let handler = instance.spin_redis_inbound_redis().func_handle_message();
                // Ends in a trap, and not never, when the guest waits for what can't come.
                let (handled,) = handler.call_async(&mut store, (payload,)).await?;
                Ok(handled.map_err(|error| match error {
                    CurrentError::Other(text) => text,
                    other => format!("{other:?}"),
                }))
            }
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Generation {
    Old,
    Current,
}

/// Spin asks at each message; a component that gets none right is better refused at its start.
fn exported(component: &Component, id: &str) -> Result<Generation, PrepareError> {
    let ty = component.component_type();
    let found: Vec<_> = ty
        .exports(component.engine())
        .filter_map(|(export, _)| match export {
            OLD => Some(Generation::Old),
            other => other.starts_with(CURRENT).then_some(Generation::Current),
        })
        .collect();
    let what = match found.as_slice() {
        [generation] => return Ok(*generation),
        [] => format!("does not export a Redis interface: `{OLD}` or `{CURRENT}x`"),
        _ => format!("exports more than one Redis interface: it must be `{OLD}` or `{CURRENT}x`"),
    };
    Err(PrepareError::Export {
        component: id.to_owned(),
        what,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::testing::{component_exporting, engine};

    fn generation(exports: &[&str]) -> Result<Generation, PrepareError> {
        exported(
            &Component::new(&engine(), component_exporting(exports)).unwrap(),
            "a",
        )
    }

    #[test]
    fn each_generation_is_told_by_its_export() {
        assert_eq!(generation(&[OLD]).unwrap(), Generation::Old);
        assert_eq!(
            generation(&["spin:redis/inbound-redis@3.0.0"]).unwrap(),
            Generation::Current
        );
    }

    #[test]
    fn none_and_both_are_refused() {
        let none = generation(&["a:b/c"]).unwrap_err().to_string();
        assert!(none.contains("does not export a Redis interface"), "{none}");
        let both = generation(&[OLD, "spin:redis/inbound-redis@3.0.0"]).unwrap_err();
        assert!(both.to_string().contains("more than one"), "{both}");
    }
}
