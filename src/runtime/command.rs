//! What one instance of a command of WASI preview 1 keeps in the host: such a command is a core module, and there is
//! nothing to it but preview 1.

use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi::p1::{self, WasiP1Ctx};

use super::memory::MemoryLimiter;
use super::meter::Meter;
use super::state::{Given, InstanceSettings};
use crate::telemetry::CurrentSpan;

/// The data of such a store.
pub struct CommandState {
    wasi: WasiP1Ctx,
    meter: Meter,
    memory: MemoryLimiter,
    _place: OwnedSemaphorePermit,
}

impl CommandState {
    /// Given what every instance of the component is given, and `more`. An error when the app has as many instances as it
    /// may.
    pub fn new(
        settings: &InstanceSettings,
        span: &CurrentSpan,
        more: impl FnOnce(&mut WasiCtxBuilder),
    ) -> wasmtime::Result<Self> {
        let Given {
            mut wasi,
            meter,
            memory,
            place,
        } = Given::new(settings, span)?;
        more(&mut wasi);
        Ok(Self {
            wasi: wasi.build_p1(),
            meter,
            memory,
            _place: place,
        })
    }

    /// See [`HostState::meter`](super::HostState::meter).
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// See [`HostState::is_trial`](super::HostState::is_trial).
    pub fn is_trial(&mut self) {
        self.memory.is_of_trial();
    }

    pub(super) fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

/// Defines preview 1.
pub(super) fn link(linker: &mut wasmtime::Linker<CommandState>) -> wasmtime::Result<()> {
    p1::add_to_linker_async(linker, |state| &mut state.wasi)
}
