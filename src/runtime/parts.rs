//! Values kept by their type: this room does not know the interfaces whose state it holds.

use std::any::{Any, TypeId, type_name};
use std::sync::Arc;

use super::sockets::SocketRules;

/// What the host's interfaces took from one component: one value of each type, shared by all instances.
#[derive(Debug, Default)]
pub struct Interfaces {
    /// A dozen at most.
    values: Vec<(TypeId, Arc<dyn Any + Send + Sync>)>,
    socket_rules: Option<Arc<dyn SocketRules>>,
}

impl Interfaces {
    /// Adds what the interface `T` took, once.
    pub fn insert<T: Any + Send + Sync>(&mut self, value: T) {
        // There is one of these for each component of each app.
        self.values.reserve_exact(1);
        self.values.push((TypeId::of::<T>(), Arc::new(value)));
    }

    /// Decides about the component's sockets; without rules it has none.
    pub fn set_socket_rules(&mut self, rules: Arc<dyn SocketRules>) {
        self.socket_rules = Some(rules);
    }

    pub(super) fn socket_rules(&self) -> Option<&Arc<dyn SocketRules>> {
        self.socket_rules.as_ref()
    }

    /// An error, which traps, for an interface that was linked without having been given the component.
    pub(super) fn get<T: Any + Send + Sync>(&self) -> wasmtime::Result<Arc<T>> {
        let wanted = TypeId::of::<T>();
        let value = self.values.iter().find(|(kind, _)| *kind == wanted);
        value
            .map(|(_, value)| value.clone())
            .and_then(|value| value.downcast().ok())
            .ok_or_else(|| wasmtime::format_err!("the component was prepared without {}", type_name::<T>()))
    }
}

/// What the interfaces keep for one instance; most instances use few of them.
#[derive(Default)]
pub(super) struct Local {
    values: Vec<Box<dyn Any + Send>>,
}

impl Local {
    pub(super) fn get<T: Any + Send + Default>(&mut self) -> &mut T {
        let at = match self.values.iter().position(|value| value.is::<T>()) {
            Some(at) => at,
            None => {
                self.values.push(Box::<T>::default());
                self.values.len() - 1
            }
        };
        // What stands there is of this type: it was just looked for, or put there.
        self.values[at].downcast_mut().expect("a value of this type")
    }
}
