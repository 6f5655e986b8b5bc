//! An app with key-value stores, and instances of its component.

use std::path::Path;
use std::sync::Arc;

use serde_json::json;
use tempfile::TempDir;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

use super::super::{KeyValue, KeyValueBackends};
use crate::host::{ComponentContext, InterfaceError, OutboundPermission};
use crate::net::{ConnectionLimits, Outbound};
use crate::runtime::{HostState, InstanceSettings, Interfaces};
use crate::runtime_config::{KeyValueStore, RuntimeConfig};
use crate::variables::Variables;

pub(super) struct App {
    pub(super) name: Arc<str>,
    pub(super) config: RuntimeConfig,
    state_dir: Arc<TempDir>,
    backends: Arc<KeyValueBackends>,
}

impl App {
    pub(super) fn new() -> Self {
        Self {
            name: "shop".into(),
            config: RuntimeConfig::default(),
            state_dir: Arc::new(TempDir::new().unwrap()),
            backends: Arc::default(),
        }
    }

    pub(super) fn with(mut self, label: &str, store: KeyValueStore) -> Self {
        self.config.key_value_stores.insert(label.into(), store);
        self
    }

    /// Another app of the same process, with a state directory of its own.
    pub(super) fn neighbour(&self, name: &str) -> Self {
        Self {
            name: name.into(),
            config: self.config.clone(),
            state_dir: Arc::new(TempDir::new().unwrap()),
            backends: self.backends.clone(),
        }
    }

    pub(super) fn state_dir(&self) -> &Path {
        self.state_dir.path()
    }

    /// What a component that lists `labels` is given.
    pub(super) async fn component(&self, labels: &[&str]) -> Result<KeyValue, InterfaceError> {
        let component = json!({"id": "cart", "source": {}, "metadata": {"key_value_stores": labels}});
        let component: crate::app::Component = serde_json::from_value(component).unwrap();
        let variables = Arc::new(Variables::new(Default::default(), Vec::new()));
        let permission = OutboundPermission::new(
            self.name.clone(),
            "cart".into(),
            &[],
            Vec::new(),
            variables.clone(),
        );
        let context = ComponentContext {
            state_quota: None,
            app: &self.name,
            component: &component,
            metadata: &component.metadata().unwrap(),
            variables: &variables,
            permission: &Arc::new(permission.unwrap()),
            outbound: &Arc::new(Outbound::new(Vec::new(), ConnectionLimits::default())),
            config: &self.config,
            state_dir: self.state_dir(),
        };
        KeyValue::of(&context, &self.backends).await
    }

    pub(super) async fn instance(&self, labels: &[&str]) -> HostState {
        let mut interfaces = Interfaces::default();
        interfaces.insert(self.component(labels).await.unwrap());
        let settings = InstanceSettings {
            app: self.name.clone(),
            component: "cart".into(),
            environment: Vec::new(),
            files: None,
            places: Arc::new(Semaphore::new(1)),
            interfaces: Arc::new(interfaces),
            log: None,
            limits: crate::runtime::InstanceLimits::default(),
        };
        HostState::new(&Arc::new(settings), Box::new(NoHttp)).unwrap()
    }
}

/// These guests send no requests.
struct NoHttp;

type Ended = Box<dyn Future<Output = Result<(), Error>> + Send>;

impl WasiHttpHooks for NoHttp {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Ended,
    ) -> Box<dyn Future<Output = Result<(http::Response<WasiBody>, Ended), Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}
