//! Two engines with a linker each for the whole process.
//!
//! Spin builds an engine for each app, with a ticker thread and an address-space reservation of its own;
//! a process of many apps needs one of each kind (`docs/contract/runtime-config.md §9`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::Store;
use wasmtime::component::{Component, InstancePre, Linker};

use super::command::{self, CommandState};
use super::engines::{EngineKind, Engines};
use super::epoch::EpochClock;
use super::meter::EPOCHS_BEFORE_YIELD;
use super::state::HostState;
use super::turns::{AppShare, Threads};
use crate::tasks::Background;

/// Why the engines could not be built.
#[derive(Debug, thiserror::Error)]
pub enum RuntimeError {
    #[error("the WebAssembly engine could not be built on this machine")]
    Engine(#[source] wasmtime::Error),
    #[error("the host's interfaces could not be linked")]
    Link(#[source] wasmtime::Error),
    #[error("the epoch clock's thread could not be started")]
    Clock(#[source] std::io::Error),
    #[error("the threads of the background could not be started")]
    Background(#[source] std::io::Error),
}

/// The engines, their linkers and the epoch clock. A cheap handle.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engines: Engines,
    plain: Linker<HostState>,
    concurrent: Linker<HostState>,
    /// For commands of WASI preview 1.
    commands: wasmtime::Linker<CommandState>,
    threads: Arc<Threads>,
    clock: EpochClock,
}

impl Runtime {
    /// Builds the engines. `link` defines the interfaces that have nothing asynchronous, `link_concurrent` the others, of whose names
    /// `is_concurrent` is true.
    pub fn new(
        link: impl Fn(&mut Linker<HostState>) -> wasmtime::Result<()>,
        link_concurrent: impl FnOnce(&mut Linker<HostState>) -> wasmtime::Result<()>,
        is_concurrent: fn(&str) -> bool,
    ) -> Result<Self, RuntimeError> {
        let engines = Engines::new(is_concurrent).map_err(RuntimeError::Engine)?;
        let linker = |kind| {
            let mut linker = Linker::new(engines.get(kind));
            link(&mut linker).map(|()| linker).map_err(RuntimeError::Link)
        };
        let (plain, mut concurrent) = (linker(EngineKind::Plain)?, linker(EngineKind::Concurrent)?);
        link_concurrent(&mut concurrent).map_err(RuntimeError::Link)?;
        let mut commands = wasmtime::Linker::new(engines.get(EngineKind::Plain));
        command::link(&mut commands).map_err(RuntimeError::Link)?;
        let clock = EpochClock::start(&engines).map_err(RuntimeError::Clock)?;
        let background = Background::start(threads()).map_err(RuntimeError::Background)?;
        Ok(Self {
            shared: Arc::new(Shared {
                engines,
                plain,
                concurrent,
                commands,
                threads: Threads::new(threads(), Some(background)),
                clock,
            }),
        })
    }

    pub fn engines(&self) -> &Engines {
        &self.shared.engines
    }

    /// What the component is linked with, by the engine that it was compiled for.
    pub fn linker(&self, component: &Component) -> &Linker<HostState> {
        match self.shared.engines.kind_of(component) {
            EngineKind::Plain => &self.shared.plain,
            EngineKind::Concurrent => &self.shared.concurrent,
        }
    }

    /// Links core modules that ask for WASI preview 1 and nothing else.
    pub fn command_linker(&self) -> &wasmtime::Linker<CommandState> {
        &self.shared.commands
    }

    /// For one more app.
    pub fn share(&self) -> AppShare {
        self.shared.threads.share()
    }

    /// A store for an instance of `pre`, whose guest yields its thread at every tick of the epoch clock, so that one that
    /// burns the processor can't hold up the others, and ends when its time is used up.
    pub fn store(&self, pre: &InstancePre<HostState>, state: HostState) -> Store<HostState> {
        let mut store = Store::new(pre.engine(), state);
        store.set_epoch_deadline(EPOCHS_BEFORE_YIELD);
        let active = self.active();
        store.epoch_deadline_callback(move |store| {
            active.store(true, Ordering::Relaxed);
            store.data().meter().tick()
        });
        store.limiter(|state| state.memory());
        store
    }

    /// Tells the epoch clock that a guest is about to run.
    fn active(&self) -> Arc<AtomicBool> {
        let active = self.shared.clock.active();
        // Mostly it knows: others read the same line.
        if !active.load(Ordering::Relaxed) {
            active.store(true, Ordering::Relaxed);
        }
        active.clone()
    }

    /// The same for a command of WASI preview 1.
    pub fn command_store(&self, state: CommandState) -> Store<CommandState> {
        let mut store = Store::new(self.shared.engines.get(EngineKind::Plain), state);
        store.set_epoch_deadline(EPOCHS_BEFORE_YIELD);
        let active = self.active();
        store.epoch_deadline_callback(move |store| {
            active.store(true, Ordering::Relaxed);
            store.data().meter().tick()
        });
        store.limiter(|state| state.memory());
        store
    }
}

/// Threads that drive guests; outside an async runtime nothing does.
fn threads() -> usize {
    tokio::runtime::Handle::try_current().map_or(1, |runtime| runtime.metrics().num_workers())
}
