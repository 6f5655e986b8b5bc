//! A guest that is run from beginning to end, for the Wagi executor (`docs/contract/http-trigger.md §6.3`) and the trigger
//! `command` (`docs/contract/triggers.md §5`).

use opentelemetry::Context;
use wasmtime::error::Context as _;
use wasmtime_wasi::p2::bindings::CommandPre as Command02Pre;
use wasmtime_wasi::p3::bindings::CommandPre as Command03Pre;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

use super::guest::Guest;
use crate::loader::{self, Code, CommandType, Compiled, LoadError};
use crate::runtime::{CommandState, HostState, Runtime};
use crate::telemetry::CurrentSpan;

const START: &str = "_start";

/// A command that is linked, and instantiated for every run.
pub(crate) struct CommandGuest {
    kind: Kind,
}

enum Kind {
    Wasi02(Command02Pre<HostState>),
    Wasi03(Command03Pre<HostState>),
    /// A core module.
    Preview1(wasmtime::InstancePre<CommandState>),
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// It returned, or exited with 0.
    Well,
    /// Its `run` returned an error.
    WithError,
    /// It exited with this code, which is not 0.
    WithCode(i32),
}

/// Why a component can't be run as a command.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Load(#[from] LoadError),
    #[error("component `{component}` can't be linked as a command")]
    Link {
        component: String,
        source: wasmtime::Error,
    },
}

impl CommandGuest {
    /// Links the component; `id` is for errors.
    pub(crate) fn new(runtime: &Runtime, id: &str, compiled: &Compiled) -> Result<Self, CommandError> {
        let error = |source| CommandError::Link {
            component: id.to_owned(),
            source,
        };
        let kind = match compiled.code() {
            Code::Command(module) => {
                let linked = runtime.command_linker().instantiate_pre(module);
                Kind::Preview1(linked.map_err(error)?)
            }
            Code::Component(component) => {
                let command = CommandType::of(component, id)?;
                let pre = loader::link(runtime.linker(component), component, id)?;
                match command {
                    CommandType::Wasi0_2 => Kind::Wasi02(Command02Pre::new(pre).map_err(error)?),
                    CommandType::Wasi0_3 => Kind::Wasi03(Command03Pre::new(pre).map_err(error)?),
                }
            }
        };
        Ok(Self { kind })
    }

    /// Runs it once, for that span if there is one. `more` is what this run is given beyond what every instance of the component is: arguments, an input,
    /// another place for its output. An error is a trap, or an instance that could not be made.
    pub(crate) async fn run(
        &self,
        guest: &Guest,
        depth: u8,
        span: Option<Context>,
        more: impl FnOnce(&mut WasiCtxBuilder),
    ) -> wasmtime::Result<Ended> {
        let ran = match &self.kind {
            Kind::Wasi02(pre) => {
                let pre = pre.clone();
                let mut store = guest.store_with(pre.instance_pre(), depth, span, more)?;
                let meter = store.data().meter().clone();
                let run = async move {
                    let command = pre.instantiate_async(&mut store).await?;
                    command.wasi_cli_run().call_run(&mut store).await
                };
                meter.drive(Box::pin(run)).await
            }
            Kind::Wasi03(pre) => {
                let pre = pre.clone();
                let mut store = guest.store_with(pre.instance_pre(), depth, span, more)?;
                let meter = store.data().meter().clone();
                let run = async move {
                    let command = pre.instantiate_async(&mut store).await?;
                    let run =
                        store.run_concurrent(async |store| command.wasi_cli_run().call_run(store).await);
                    run.await.and_then(|returned| returned)
                };
                meter.drive(Box::pin(run)).await
            }
            Kind::Preview1(pre) => {
                let state = CommandState::new(&guest.settings, &CurrentSpan::new(span), more)?;
                let pre = pre.clone();
                let mut store = guest.runtime.command_store(state);
                let meter = store.data().meter().clone();
                let run = async move {
                    let instance = pre.instantiate_async(&mut store).await?;
                    let start = instance.get_typed_func::<(), ()>(&mut store, START);
                    let start = start.context("the command has no usable `_start`")?;
                    start.call_async(&mut store, ()).await.map(Ok)
                };
                meter.drive(Box::pin(run)).await
            }
        };
        match ran {
            Ok(Ok(())) => Ok(Ended::Well),
            Ok(Err(())) => Ok(Ended::WithError),
            Err(error) => match error.downcast_ref::<I32Exit>() {
                Some(I32Exit(0)) => Ok(Ended::Well),
                Some(I32Exit(code)) => Ok(Ended::WithCode(*code)),
                None => Err(error),
            },
        }
    }

    /// Makes an instance, and does not run it.
    pub(crate) async fn try_instantiate(&self, guest: &Guest) -> wasmtime::Result<()> {
        match &self.kind {
            Kind::Wasi02(pre) => guest.try_instantiate(pre.instance_pre()).await,
            Kind::Wasi03(pre) => guest.try_instantiate(pre.instance_pre()).await,
            Kind::Preview1(pre) => {
                let state = CommandState::new(&guest.settings, &CurrentSpan::default(), |_| {})?;
                let mut store = guest.runtime.command_store(state);
                store.data_mut().is_trial();
                let meter = store.data().meter().clone();
                let made = pre.instantiate_async(&mut store).await.map(drop);
                made.map_err(|error| meter.explain(error))
            }
        }
    }
}
