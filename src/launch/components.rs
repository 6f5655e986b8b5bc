//! A locked component to one that is ready to be linked, with everything that its instances are given.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::Semaphore;
use wasmtime_wasi_http::WasiBody;

use super::clients::AppClients;
use super::{LaunchFailure, Parts};
use crate::app::{Component, LockedApp};
use crate::control::AppId;
use crate::host::{ComponentContext, OutboundPermission};
use crate::manifest::AppSpec;
use crate::net::{ConnectionLimits, HttpClient, Outbound};
use crate::runtime::{InstanceSettings, MAX_INSTANCES_OF_APP};
use crate::runtime_config::RuntimeConfig;
use crate::trigger::PreparedComponent;
use crate::variables::Variables;

/// What all components of one version of an app share.
pub(super) struct AppResources<'a> {
    app: Arc<str>,
    spec: &'a AppSpec,
    /// The ids of the app's components.
    ids: Vec<String>,
    config: RuntimeConfig,
    state_dir: PathBuf,
    variables: Arc<Variables>,
    outbound: Arc<Outbound>,
    clients: AppClients,
    places: Arc<Semaphore>,
}

impl<'a> AppResources<'a> {
    /// `shared` is the HTTP client of apps without settings of their own.
    pub(super) async fn new(
        shared: &HttpClient<WasiBody>,
        id: &AppId,
        app: &LockedApp,
        spec: &'a AppSpec,
        config: RuntimeConfig,
        state_dir: PathBuf,
        variables: Arc<Variables>,
    ) -> Result<Self, LaunchFailure> {
        let networking = &config.outbound_networking;
        let limits = ConnectionLimits {
            http: config
                .outbound_http
                .as_ref()
                .and_then(|http| http.max_connections),
            redis: config.outbound_redis.max_connections,
            postgres: config.outbound_pg.max_connections,
            mysql: config.outbound_mysql.max_connections,
            mqtt: config.outbound_mqtt.max_connections,
            socket: networking.max_socket_connections,
            total: networking.max_total_connections,
        };
        let outbound = Arc::new(Outbound::new(networking.block_networks.clone(), limits));
        Ok(Self {
            app: id.as_str().into(),
            spec,
            ids: app
                .components
                .iter()
                .map(|component| component.id.clone())
                .collect(),
            clients: AppClients::new(shared, &config, &outbound).await?,
            outbound,
            config,
            state_dir,
            variables,
            places: Arc::new(Semaphore::new(MAX_INSTANCES_OF_APP)),
        })
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
        let loaded = self.loader.load(component).await?;
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
        };
        let interfaces = self.host.interfaces(&context).await?;
        let mut environment = component.env.clone();
        environment.extend(resources.spec.environment.clone());
        let settings = InstanceSettings {
            app: resources.app.clone(),
            component: component.id.as_str().into(),
            environment: environment.into_iter().collect(),
            files: loaded.files.clone(),
            places: resources.places.clone(),
            interfaces: Arc::new(interfaces),
            max_memory: resources.config.max_instance_memory,
        };
        Ok(PreparedComponent {
            loaded,
            settings: Arc::new(settings),
            permission,
            clients: resources.clients.of(&component.id),
        })
    }
}
