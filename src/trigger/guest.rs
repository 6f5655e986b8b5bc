//! What it takes to make instances of one component, for triggers of every kind.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use opentelemetry::Context;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use wasmtime::Store;
use wasmtime::component::InstancePre;
use wasmtime_wasi::WasiCtxBuilder;
use wasmtime_wasi_http::WasiBody;

use super::http::RequestLimits;
use crate::app::LockedApp;
use crate::host::{OutboundHttp, OutboundPermission};
use crate::loader::LoadedComponent;
use crate::net::HttpClients;
use crate::runtime::{HostState, InstanceSettings, LocalDispatch, Runtime};
use crate::telemetry::CurrentSpan;
use crate::variables::Variables;

/// One version of one app, as it was asked for.
pub struct AppInput<'a> {
    /// The app, as its file names it.
    pub id: Arc<str>,
    /// Of the artifact's manifest.
    pub digest: String,
    pub app: &'a LockedApp,
    /// Every component that a trigger names.
    pub components: &'a BTreeMap<String, PreparedComponent>,
    pub variables: Arc<Variables>,
    /// What its HTTP trigger accepts.
    pub requests: RequestLimits,
}

/// A component that is ready to be linked, and all that its instances are given.
pub struct PreparedComponent {
    pub loaded: LoadedComponent,
    pub settings: Arc<InstanceSettings>,
    pub permission: Arc<OutboundPermission>,
    pub clients: HttpClients<WasiBody>,
}

impl PreparedComponent {
    /// `local` is the way back to the app's own routes; without HTTP triggers there is none.
    pub(crate) fn guest(
        &self,
        runtime: &Runtime,
        local: Option<Weak<dyn LocalDispatch>>,
        life: &Life,
    ) -> Guest {
        Guest {
            runtime: runtime.clone(),
            settings: self.settings.clone(),
            outbound: OutboundHttp {
                clients: self.clients.clone(),
                permission: self.permission.clone(),
                local,
            },
            life: life.clone(),
        }
    }
}

/// What it takes to make instances of one component.
pub(crate) struct Guest {
    pub(crate) runtime: Runtime,
    pub(crate) settings: Arc<InstanceSettings>,
    pub(crate) outbound: OutboundHttp,
    pub(crate) life: Life,
}

impl Guest {
    /// A store for an instance of `pre` that answers at `depth` chained calls, for that span if there is one.
    pub(crate) fn store(
        &self,
        pre: &InstancePre<HostState>,
        depth: u8,
        span: Option<Context>,
    ) -> wasmtime::Result<Store<HostState>> {
        self.store_with(pre, depth, span, |_| {})
    }

    /// The same, for a guest that is given more than the others: arguments, an input.
    pub(crate) fn store_with(
        &self,
        pre: &InstancePre<HostState>,
        depth: u8,
        span: Option<Context>,
        more: impl FnOnce(&mut WasiCtxBuilder),
    ) -> wasmtime::Result<Store<HostState>> {
        let span = CurrentSpan::new(span);
        let hooks = self.outbound.hooks(depth, span.clone());
        let state = HostState::with_wasi(&self.settings, hooks, span, more)?;
        Ok(self.runtime.store(pre, state))
    }

    /// Makes one instance and throws it away: what can't be instantiated must not replace what works.
    pub(crate) async fn try_instantiate(&self, pre: &InstancePre<HostState>) -> wasmtime::Result<()> {
        let mut store = self.store(pre, 0, None)?;
        store.data_mut().is_trial();
        let meter = store.data().meter().clone();
        let made = pre.instantiate_async(&mut store).await.map(drop);
        made.map_err(|error| meter.explain(error))
    }
}

/// The end of one version of an app, as its instances see it.
#[derive(Clone, Default)]
pub(crate) struct Life {
    /// Cancelled when nothing new will come: idle instances go.
    pub(crate) drain: CancellationToken,
    /// Cancelled when everything has to end now.
    pub(crate) force: CancellationToken,
    /// Counts events, responses and instances that are still at work.
    pub(crate) in_flight: TaskTracker,
}
