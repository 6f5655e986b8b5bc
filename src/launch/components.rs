//! A locked component to one that is ready to be linked, with everything that its instances are given.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;

use super::clients::AppClients;
use super::{LaunchFailure, Parts};
use crate::app::{Component, ComponentMetadata, LockedApp};
use crate::control::AppId;
use crate::host::{ComponentContext, OutboundPermission, StateQuota};
use crate::loader::LoadedComponent;
use crate::logs::AppLogs;
use crate::manifest::{AppSpec, Limits};
use crate::metrics::AppMetrics;
use crate::net::{ConnectionLimits, Outbound};
use crate::runtime::{
    AppShare, InstanceLimits, InstanceSettings, MAX_INSTANCES_OF_APP, OutputRate, Overruns,
};
use crate::runtime_config::{KeyValueStore, RuntimeConfig};
use crate::trigger::PreparedComponent;
use crate::trigger::http::{RateGate, RequestLimits};
use crate::variables::Variables;

/// What an app writes to.
pub(super) struct Directories {
    /// Absolute; it exists.
    pub(super) state: PathBuf,
    pub(super) logs: AppLogs,
}

/// What the limits of one version of an app are counted by, however often the rest of it is made.
#[derive(Clone)]
pub(super) struct Bounds {
    /// A place for each instance.
    places: Arc<Semaphore>,
    overruns: Arc<Overruns>,
    output: Option<Arc<OutputRate>>,
    rate: Option<Arc<RateGate>>,
}

impl Bounds {
    pub(super) fn new(all: &Parts, id: &AppId, spec: &AppSpec) -> Self {
        let limits = spec.limits_over(&all.limits);
        let places = Arc::new(Semaphore::new(MAX_INSTANCES_OF_APP));
        let metrics = AppMetrics::new(id.shared(), &all.metrics, &places, MAX_INSTANCES_OF_APP);
        let output = limits.log_rate.value();
        let rate = limits.rate.value().and_then(|rate| {
            let burst = limits.burst.value().unwrap_or_else(|| rate.a_second());
            RateGate::new(rate.0, burst)
        });
        Self {
            places,
            overruns: Arc::new(Overruns::new(metrics)),
            output: output.map(|bytes| Arc::new(OutputRate::new(bytes))),
            rate: rate.map(Arc::new),
        }
    }
}

/// What all components of one version of an app share.
pub(super) struct AppResources<'a> {
    app: Arc<str>,
    spec: &'a AppSpec,
    /// The ids of the app's components.
    ids: Vec<String>,
    config: RuntimeConfig,
    state_dir: PathBuf,
    logs: AppLogs,
    variables: Arc<Variables>,
    outbound: Arc<Outbound>,
    clients: AppClients,
    places: Arc<Semaphore>,
    instances: InstanceLimits,
    /// What its HTTP trigger accepts.
    pub(super) requests: RequestLimits,
    /// How much its state directory may hold.
    state: Option<Arc<StateQuota>>,
}

impl<'a> AppResources<'a> {
    /// What all apps are launched with, and what is this one's.
    #[expect(clippy::too_many_arguments, reason = "they are what one version of an app is")]
    pub(super) async fn new(
        Parts {
            client: shared,
            runtime,
            limits: defaults,
            ..
        }: &Parts,
        id: &AppId,
        app: &LockedApp,
        spec: &'a AppSpec,
        config: RuntimeConfig,
        Directories {
            state: state_dir,
            logs,
        }: Directories,
        variables: Arc<Variables>,
        bounds: &Bounds,
    ) -> Result<Self, LaunchFailure> {
        let limits = spec.limits_over(defaults);
        let app_id = id.shared();
        let networking = &config.outbound_networking;
        let connections = ConnectionLimits {
            http: config
                .outbound_http
                .as_ref()
                .and_then(|http| http.max_connections),
            redis: config.outbound_redis.max_connections,
            postgres: config.outbound_pg.max_connections,
            mysql: config.outbound_mysql.max_connections,
            mqtt: config.outbound_mqtt.max_connections,
            socket: networking.max_socket_connections,
            total: least(
                networking.max_total_connections,
                limits.outbound_connections.value(),
            ),
        };
        let mut outbound = Outbound::new(networking.block_networks.clone(), connections);
        if let Some(networks) = limits.outbound_networks.clone().value() {
            outbound = outbound.within(app_id.clone(), networks);
        }
        let outbound = Arc::new(outbound);
        Ok(Self {
            app: app_id,
            spec,
            instances: instances(&limits, &config, runtime.share(), bounds),
            requests: requests(&limits, bounds),
            state: limits
                .state_size
                .value()
                .map(|bytes| Arc::new(StateQuota::new(state_dir.clone(), logs.directory().into(), bytes))),
            ids: app
                .components
                .iter()
                .map(|component| component.id.clone())
                .collect(),
            clients: AppClients::new(shared, &config, &outbound).await?,
            outbound,
            config,
            state_dir,
            logs,
            variables,
            places: bounds.places.clone(),
        })
    }

    /// Whether all of it may be let go while nobody asks for the app, and made again: nothing of it is a state, a limit on what
    /// outlives a request, or made from what may have changed.
    pub(super) fn can_rest(&self) -> bool {
        let in_memory = |store: &KeyValueStore| matches!(store, KeyValueStore::Spin { path: None });
        self.outbound.is_unrestricted()
            && self.config.client_tls.is_empty()
            && self.config.variables_providers.is_empty()
            && !self.config.key_value_stores.values().any(in_memory)
    }
}

impl Parts {
    /// Loads the component, and lets every host interface take from it what it needs.
    pub(super) async fn component(
        &self,
        resources: &AppResources<'_>,
        component: &Component,
    ) -> Result<PreparedComponent, LaunchFailure> {
        let metadata = component.metadata()?;
        let loaded = Box::pin(self.loader.load(component)).await?;
        self.prepared(resources, component, metadata, loaded).await
    }

    /// The same of a version that has been prepared before.
    pub(super) async fn component_again(
        &self,
        resources: &AppResources<'_>,
        component: &Component,
    ) -> Result<PreparedComponent, LaunchFailure> {
        let metadata = component.metadata()?;
        let loaded = Box::pin(self.loader.load_again(component)).await?;
        self.prepared(resources, component, metadata, loaded).await
    }

    async fn prepared(
        &self,
        resources: &AppResources<'_>,
        component: &Component,
        metadata: ComponentMetadata,
        loaded: LoadedComponent,
    ) -> Result<PreparedComponent, LaunchFailure> {
        let permission = OutboundPermission::new(
            resources.app.clone(),
            component.id.as_str().into(),
            &metadata.allowed_outbound_hosts,
            resources.ids.clone(),
            resources.variables.clone(),
        );
        let permission = permission.map_err(|source| LaunchFailure::Permission {
            component: component.id.clone(),
            source,
        })?;
        let permission = Arc::new(permission);
        let context = ComponentContext {
            app: &resources.app,
            component,
            metadata: &metadata,
            variables: &resources.variables,
            permission: &permission,
            outbound: &resources.outbound,
            config: &resources.config,
            state_dir: &resources.state_dir,
            state_quota: resources.state.as_ref(),
        };
        let interfaces = Box::pin(self.host.interfaces(&context)).await?;
        let mut environment = component.env.clone();
        environment.extend(resources.spec.environment.clone());
        let settings = InstanceSettings {
            app: resources.app.clone(),
            component: component.id.as_str().into(),
            environment: environment.into_iter().collect(),
            files: loaded.files.clone(),
            places: resources.places.clone(),
            interfaces: Arc::new(interfaces),
            limits: resources.instances.clone(),
            log: Some(resources.logs.component(component.id.as_str().into())),
        };
        Ok(PreparedComponent {
            loaded,
            settings: Arc::new(settings),
            permission,
            clients: resources.clients.of(&component.id),
        })
    }
}

fn instances(limits: &Limits, config: &RuntimeConfig, share: AppShare, bounds: &Bounds) -> InstanceLimits {
    InstanceLimits {
        one_memory: config.max_instance_memory,
        memory: limits.memory.value(),
        cpu_time: limits.cpu_time.value(),
        output: bounds.output.clone(),
        share,
        overruns: bounds.overruns.clone(),
    }
}

fn requests(limits: &Limits, bounds: &Bounds) -> RequestLimits {
    RequestLimits {
        time: limits.request_time.value(),
        at_once: limits.requests.value(),
        queue: limits.queue.value(),
        queue_time: limits.queue_time.value(),
        rate: bounds.rate.clone(),
        body: limits.body.value(),
        headers: limits.headers.value(),
        overruns: bounds.overruns.clone(),
    }
}

/// Of two limits both hold.
fn least(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (one, other) => one.or(other),
    }
}
