//! The values of a component's `config`, in the four interfaces that guests of different age ask through
//! (`docs/contract/host-interfaces.md §5.2, §6.2`).
//!
//! An instance keeps nothing: each call evaluates a template of the component anew, so that a changed secret is seen.

mod guest;
mod lookup;

use std::collections::BTreeMap;
use std::sync::Arc;

use wasmtime::component::{HasSelf, Linker};

use super::context::ComponentContext;
use super::error::InterfaceError;
use crate::runtime::HostState;
use crate::variables::{Template, Variables};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "variables",
        imports: { default: async | trappable },
    });
}

/// The `config` of one component.
pub(super) struct ComponentVariables {
    component: Arc<str>,
    config: BTreeMap<String, Template>,
    variables: Arc<Variables>,
}

impl ComponentVariables {
    /// Errors for a template that can't be read, or that names a variable which the app does not declare.
    pub(super) fn of(context: &ComponentContext<'_>) -> Result<Self, InterfaceError> {
        let component = &context.component.id;
        let mut config = BTreeMap::new();
        for (name, text) in &context.component.config {
            let wrong = || format!("its `config` value `{name}` is not usable");
            let template = Template::parse(text)
                .map_err(|error| InterfaceError::new(component, wrong()).with_source(error))?;
            context
                .variables
                .check_template(&template)
                .map_err(|error| InterfaceError::new(component, wrong()).with_source(error))?;
            config.insert(name.clone(), template);
        }
        Ok(Self {
            component: component.as_str().into(),
            config,
            variables: context.variables.clone(),
        })
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::config::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::variables::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::wasi::config::store::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::variables::variables::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}
