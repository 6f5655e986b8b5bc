//! What one instance of a component keeps in the host.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::ResourceTable;

use wasmtime_wasi::{FsPerms, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

use super::stdio::{GuestOutput, Output};

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
}

/// The data of a store: one for each instance.
pub struct HostState {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    table: ResourceTable,
    hooks: Box<dyn WasiHttpHooks>,
    _place: OwnedSemaphorePermit,
}

impl HostState {
    /// `hooks` decide what an outbound HTTP request of this instance may reach. An error when the app has as many
    /// instances as it may.
    pub fn new(settings: &InstanceSettings, hooks: Box<dyn WasiHttpHooks>) -> wasmtime::Result<Self> {
        let place = settings.places.clone().try_acquire_owned();
        let place =
            place.map_err(|_| wasmtime::format_err!("the app has as many instances as one app may have"))?;
        let output = |output| GuestOutput {
            app: settings.app.clone(),
            component: settings.component.clone(),
            output,
        };
        let mut wasi = WasiCtx::builder();
        wasi.stdout(output(Output::Stdout))
            .stderr(output(Output::Stderr))
            .envs(&settings.environment);
        if let Some(files) = &settings.files {
            wasi.preopened_dir(files, "/", FsPerms::ReadOnly)?;
        }
        Ok(Self {
            wasi: wasi.build(),
            http: WasiHttpCtx::new(),
            table: ResourceTable::new(),
            hooks,
            _place: place,
        })
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
