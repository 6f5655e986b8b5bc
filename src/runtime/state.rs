//! What one instance of a component keeps in the host.

use std::any::Any;
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxBuilder, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::exhausted::AppIsFull;
use super::limits::InstanceLimits;
use super::memory::MemoryLimiter;
use super::meter::Meter;
use super::parts::{Interfaces, Local};
use super::stdio::GuestOutput;
use crate::logs::{ComponentLog, Stream};
use crate::telemetry::{CurrentSpan, MemoryOf};

/// What every instance of one component is given (`docs/contract/host-interfaces.md §7.1`).
#[derive(Debug, Clone)]
pub struct InstanceSettings {
    /// The app, as the log names it.
    pub app: Arc<str>,
    /// The component's id.
    pub component: Arc<str>,
    /// Environment variables; nothing is inherited from the host's own.
    pub environment: Vec<(String, String)>,
    /// The directory that the guest sees at `/`, read-only; none for a component without files.
    pub files: Option<PathBuf>,
    /// A place for each instance that the app may have, shared by its components.
    pub places: Arc<Semaphore>,
    /// What the host's interfaces took from the component.
    pub interfaces: Arc<Interfaces>,
    pub limits: InstanceLimits,
    /// Where the lines go that it prints; `None`: to the daemon's log alone.
    pub log: Option<ComponentLog>,
}

/// What every instance is given, whatever it is an instance of.
pub(super) struct Given {
    pub(super) wasi: WasiCtxBuilder,
    pub(super) meter: Meter,
    pub(super) memory: MemoryLimiter,
    pub(super) place: OwnedSemaphorePermit,
}

impl Given {
    pub(super) fn new(settings: &InstanceSettings, span: &CurrentSpan) -> wasmtime::Result<Self> {
        let place = settings.places.clone().try_acquire_owned();
        let place = place.map_err(|_| AppIsFull)?;
        let output = |stream| GuestOutput {
            app: settings.app.clone(),
            component: settings.component.clone(),
            limits: settings.limits.clone(),
            stream,
            log: settings.log.clone(),
            span: span.clone(),
        };
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output(Stream::Stdout))
            .stderr(output(Stream::Stderr))
            .envs(&settings.environment);
        if let Some(files) = &settings.files {
            wasi.preopened_dir(files, "/", FsPerms::ReadOnly)?;
        }
        if let Some(rules) = settings.interfaces.socket_rules() {
            let rules = rules.clone();
            wasi.allow_tcp(true)
                .allow_udp(true)
                .socket_addr_check(move |address, purpose| rules.clone().permits(address, purpose));
        }
        let limits = &settings.limits;
        let meter = limits.meter();
        Ok(Self {
            wasi,
            memory: MemoryLimiter::new(
                limits.one_memory,
                limits.memory,
                meter.clone(),
                MemoryOf::new(&settings.app, &settings.component),
            ),
            meter,
            place,
        })
    }
}

/// The data of a store: one for each instance.
pub struct HostState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Box<dyn WasiHttpHooks>,
    settings: Arc<InstanceSettings>,
    span: CurrentSpan,
    local: Local,
    meter: Meter,
    memory: MemoryLimiter,
    _place: OwnedSemaphorePermit,
}

impl HostState {
    /// `hooks` decide what an outbound HTTP request of this instance may reach. An error when the app has as many
    /// instances as it may.
    pub fn new(settings: &Arc<InstanceSettings>, hooks: Box<dyn WasiHttpHooks>) -> wasmtime::Result<Self> {
        Self::with_wasi(settings, hooks, CurrentSpan::default(), |_| {})
    }

    /// The same, with the span that it works for, and for a trigger that gives its guests more than the others do: arguments,
    /// an input.
    pub fn with_wasi(
        settings: &Arc<InstanceSettings>,
        hooks: Box<dyn WasiHttpHooks>,
        span: CurrentSpan,
        more: impl FnOnce(&mut WasiCtxBuilder),
    ) -> wasmtime::Result<Self> {
        let Given {
            mut wasi,
            meter,
            memory,
            place,
        } = Given::new(settings, &span)?;
        more(&mut wasi);
        Ok(Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            hooks,
            settings: settings.clone(),
            span,
            local: Local::default(),
            meter,
            memory,
            _place: place,
        })
    }

    /// The settings of the component that this is an instance of.
    pub fn settings(&self) -> &InstanceSettings {
        &self.settings
    }

    /// The span that it works for at the moment.
    pub fn span(&self) -> &CurrentSpan {
        &self.span
    }

    /// What the interface `T` took from the component when the app was prepared: one for all instances.
    pub fn interface<T: Any + Send + Sync>(&self) -> wasmtime::Result<Arc<T>> {
        self.settings.interfaces.get()
    }

    /// What `T` keeps for this one instance: made at its first use, dropped with the instance.
    pub fn local<T: Any + Send + Default>(&mut self) -> &mut T {
        self.local.get()
    }

    /// The instance's resources.
    pub fn table(&mut self) -> &mut ResourceTable {
        &mut self.table
    }

    /// What the instance uses: whoever drives it has it measured.
    pub fn meter(&self) -> &Meter {
        &self.meter
    }

    /// It is only made to see that it can be.
    pub fn is_trial(&mut self) {
        self.memory.is_of_trial();
    }

    pub(super) fn memory(&mut self) -> &mut MemoryLimiter {
        &mut self.memory
    }
}

impl WasiView for HostState {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

impl WasiHttpView for HostState {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView {
            hooks: &mut *self.hooks,
            table: &mut self.table,
            ctx: &mut self.http,
        }
    }
}
