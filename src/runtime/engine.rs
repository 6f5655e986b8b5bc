//! One engine and one linker for the whole process.
//!
//! Spin builds an engine for each app, with a ticker thread and an address-space reservation of its own;
//! a process of many apps needs one of each (`docs/contract/runtime-config.md §9`).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use wasmtime::component::Linker;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store};

use super::command::{self, CommandState};
use super::epoch::EpochClock;
use super::meter::EPOCHS_BEFORE_YIELD;
use super::state::HostState;
use super::turns::{AppShare, Threads};
use crate::tasks::Background;

/// Component instances that may exist at once, in all apps together.
const MAX_INSTANCES: u32 = 4000;
/// Those that one version of an app may have: its guests may go on after their responses, for as long as they like, and
/// must leave room for others.
pub const MAX_INSTANCES_OF_APP: usize = MAX_INSTANCES as usize / 2;
/// Core instances, memories, tables and fiber stacks that may exist at once: composed components
/// need several of each.
const MAX_CORE_INSTANCES: u32 = 16_000;
const MAX_MEMORIES: u32 = 6000;
const MAX_TABLES: u32 = 12_000;
const MAX_STACKS: u32 = 6000;
/// What one component may have, as Spin's defaults say.
const CORE_INSTANCES_PER_COMPONENT: u32 = 200;
const MEMORIES_PER_COMPONENT: u32 = 32;
const TABLES_PER_COMPONENT: u32 = 64;
const TABLES_PER_MODULE: u32 = 2;
const MEMORIES_PER_MODULE: u32 = 2;
const TABLE_ELEMENTS: usize = 100_000;
/// Bytes of the engine's own bookkeeping for an instance.
const INSTANCE_SIZE: usize = 10 << 20;
/// Bytes of a memory and of a table that stay resident in the pool between two uses.
const MEMORY_KEEP_RESIDENT: usize = 2 << 20;
const TABLE_KEEP_RESIDENT: usize = 512 << 10;

/// Why the engine could not be built.
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

/// The engine, the linker and the epoch clock. A cheap handle.
#[derive(Clone)]
pub struct Runtime {
    shared: Arc<Shared>,
}

struct Shared {
    engine: Engine,
    linker: Linker<HostState>,
    /// For commands of WASI preview 1.
    commands: wasmtime::Linker<CommandState>,
    threads: Arc<Threads>,
    clock: EpochClock,
}

impl Runtime {
    /// Builds the engine, and lets `link` define every interface that the host has.
    ///
    /// Instances come from a pool. Where its address space can't be reserved (a small container, a low
    /// `ulimit -v`), they are allocated one by one instead, which is slower; the log says so.
    pub fn new(
        link: impl FnOnce(&mut Linker<HostState>) -> wasmtime::Result<()>,
    ) -> Result<Self, RuntimeError> {
        let engine = match Engine::new(&config(InstanceAllocationStrategy::Pooling(pool()))) {
            Ok(engine) => engine,
            Err(error) => {
                tracing::warn!(
                    error = format!("{error:#}"),
                    "no address space for a pool of instances: each is allocated on demand"
                );
                Engine::new(&config(InstanceAllocationStrategy::OnDemand)).map_err(RuntimeError::Engine)?
            }
        };
        let mut linker = Linker::new(&engine);
        link(&mut linker).map_err(RuntimeError::Link)?;
        let mut commands = wasmtime::Linker::new(&engine);
        command::link(&mut commands).map_err(RuntimeError::Link)?;
        let clock = EpochClock::start(&engine).map_err(RuntimeError::Clock)?;
        let background = Background::start(threads()).map_err(RuntimeError::Background)?;
        Ok(Self {
            shared: Arc::new(Shared {
                engine,
                linker,
                commands,
                threads: Threads::new(threads(), Some(background)),
                clock,
            }),
        })
    }

    pub fn engine(&self) -> &Engine {
        &self.shared.engine
    }

    pub fn linker(&self) -> &Linker<HostState> {
        &self.shared.linker
    }

    /// Links core modules that ask for WASI preview 1 and nothing else.
    pub fn command_linker(&self) -> &wasmtime::Linker<CommandState> {
        &self.shared.commands
    }

    /// For one more app.
    pub fn share(&self) -> AppShare {
        self.shared.threads.share()
    }

    /// A store whose guest yields its thread at every tick of the epoch clock, so that one that
    /// burns the processor can't hold up the others, and ends when its time is used up.
    pub fn store(&self, state: HostState) -> Store<HostState> {
        let mut store = Store::new(&self.shared.engine, state);
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
        let mut store = Store::new(&self.shared.engine, state);
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

fn config(allocation: InstanceAllocationStrategy) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .allocation_strategy(allocation);
    config
}

fn pool() -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_INSTANCES)
        .total_core_instances(MAX_CORE_INSTANCES)
        .total_memories(MAX_MEMORIES)
        .total_tables(MAX_TABLES)
        .total_stacks(MAX_STACKS)
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(MEMORIES_PER_COMPONENT)
        .max_tables_per_component(TABLES_PER_COMPONENT)
        .max_tables_per_module(TABLES_PER_MODULE)
        .max_memories_per_module(MEMORIES_PER_MODULE)
        .table_elements(TABLE_ELEMENTS)
        .max_component_instance_size(INSTANCE_SIZE)
        .max_core_instance_size(INSTANCE_SIZE)
        .linear_memory_keep_resident(MEMORY_KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        // Only what a guest has written is written anew, where the kernel can tell (Linux 6.7).
        .pagemap_scan(Enabled::Auto);
    pool
}
