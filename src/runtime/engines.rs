//! The two engines of the process, and what they are given.
//!
//! Where components may be asynchronous, Wasmtime keeps account of tasks at every call into a guest and out of it: of what the engine
//! does for a small request that is a quarter. So components that have nothing asynchronous run on an engine without that, and the
//! others on one with it.

use wasmtime::component::Component;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use crate::machine;

/// Component instances that may exist at once on one engine, in all apps together.
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

/// Of the memory that the process may have, the part that free places of one engine keep: one in so many.
const KEPT_PART: u64 = 8;
/// Free places whose memory is still that of the module that had it, and ready for that. Each has a few of the process's mappings, of which
/// most are for code.
const MIN_WARM: u32 = 100;
const MAX_WARM: u32 = 2000;

/// Which engine a component runs on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// Without the component model's concurrency.
    Plain,
    /// With it.
    Concurrent,
}

impl EngineKind {
    pub const ALL: [Self; 2] = [Self::Plain, Self::Concurrent];
}

/// The engines. A cheap handle.
#[derive(Clone)]
pub struct Engines {
    plain: Engine,
    concurrent: Engine,
    is_concurrent: fn(&str) -> bool,
}

impl Engines {
    /// Instances come from a pool for each engine. Where its address space can't be reserved (a small container, a low
    /// `ulimit -v`), they are allocated one by one instead, which is slower; the log says so.
    ///
    /// `is_concurrent` says whether an interface of that name is offered by [`EngineKind::Concurrent`] alone.
    pub(super) fn new(is_concurrent: fn(&str) -> bool) -> wasmtime::Result<Self> {
        let pool = pool();
        Ok(Self {
            plain: engine(EngineKind::Plain, &pool)?,
            concurrent: engine(EngineKind::Concurrent, &pool)?,
            is_concurrent,
        })
    }

    /// Without pools. Interfaces of a version 3 are concurrent.
    #[cfg(test)]
    pub(crate) fn testing() -> Self {
        let engine =
            |kind| Engine::new(&config(kind, InstanceAllocationStrategy::OnDemand)).expect("an engine");
        Self {
            plain: engine(EngineKind::Plain),
            concurrent: engine(EngineKind::Concurrent),
            is_concurrent: |import| import.contains("@3."),
        }
    }

    pub fn get(&self, kind: EngineKind) -> &Engine {
        match kind {
            EngineKind::Plain => &self.plain,
            EngineKind::Concurrent => &self.concurrent,
        }
    }

    /// Whether only [`EngineKind::Concurrent`] has the interface of this name.
    pub fn is_concurrent(&self, import: &str) -> bool {
        (self.is_concurrent)(import)
    }

    /// Which one the component was compiled for.
    pub(super) fn kind_of(&self, component: &Component) -> EngineKind {
        match Engine::same(component.engine(), &self.plain) {
            true => EngineKind::Plain,
            false => EngineKind::Concurrent,
        }
    }
}

fn engine(kind: EngineKind, pool: &PoolingAllocationConfig) -> wasmtime::Result<Engine> {
    let pooling = InstanceAllocationStrategy::Pooling(pool.clone());
    Engine::new(&config(kind, pooling)).or_else(|error| {
        tracing::warn!(
            error = format!("{error:#}"),
            "no address space for a pool of instances: each is allocated on demand"
        );
        Engine::new(&config(kind, InstanceAllocationStrategy::OnDemand))
    })
}

fn config(kind: EngineKind, allocation: InstanceAllocationStrategy) -> Config {
    let is_concurrent = kind == EngineKind::Concurrent;
    let mut config = Config::new();
    config
        .concurrency_support(is_concurrent)
        .wasm_component_model_async(is_concurrent)
        .epoch_interruption(true)
        // Nothing unwinds through guests, and to register the tables of each mapped code takes longer the more of them there are.
        .native_unwind_info(false)
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
        .max_unused_warm_slots(warm(machine::memory()))
        // Only what a guest has written is written anew, where the kernel can tell (Linux 6.7).
        .pagemap_scan(Enabled::Auto);
    pool
}

/// As many as have room if each keeps as much as it may.
fn warm(memory: Option<u64>) -> u32 {
    let room = memory.map_or(0, |memory| memory / KEPT_PART / MEMORY_KEEP_RESIDENT as u64);
    u32::try_from(room).unwrap_or(MAX_WARM).clamp(MIN_WARM, MAX_WARM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_places_keep_no_more_than_a_part_of_the_memory() {
        const GIB: u64 = 1 << 30;
        assert_eq!(warm(None), MIN_WARM);
        assert_eq!(warm(Some(GIB / 2)), MIN_WARM);
        assert_eq!(warm(Some(24 * GIB)), 1536);
        assert_eq!(warm(Some(1024 * GIB)), MAX_WARM);
    }
}
