//! One module for each host interface: what it takes from the app, what it keeps for an instance, how it is linked.

mod backup;
mod connections;
mod context;
mod early_answer;
mod error;
mod http;
mod key_value;
mod limits;
mod llm;
mod mqtt;
mod mysql;
mod otel;
mod permission;
mod postgres;
mod redis;
mod sockets;
mod spin_http;
mod sqlite;
mod state_quota;
mod variables;
pub mod wasi_rc;

pub use backup::{BackupError, back_up};
pub use context::ComponentContext;
pub use error::InterfaceError;
pub use http::OutboundHttp;
pub use permission::{OutboundPermission, PermissionError};
pub use state_quota::StateQuota;

use std::sync::Arc;

use key_value::KeyValueBackends;
use llm::LlmBackends;
use mqtt::MqttBackends;
use mysql::MysqlBackends;
use redis::RedisBackends;
use sqlite::SqliteBackends;
use wasmtime::component::Linker;

use crate::otlp::Exporter;
use crate::runtime::{HostState, Interfaces};

/// What the interfaces of all apps share: pools of connections to backends, open files.
#[derive(Default)]
pub struct Host {
    key_value: KeyValueBackends,
    llm: LlmBackends,
    mqtt: MqttBackends,
    mysql: MysqlBackends,
    /// The way to the operator's collector, if there is one.
    telemetry: Option<Arc<Exporter>>,
    redis: RedisBackends,
    sqlite: SqliteBackends,
}

impl Host {
    /// With the way to the operator's collector, if there is one.
    pub fn new(telemetry: Option<Arc<Exporter>>) -> Self {
        Self {
            telemetry,
            ..Self::default()
        }
    }

    /// What every interface takes from one component. Connects to nothing: a backend that is down keeps no app from
    /// starting.
    pub async fn interfaces(&self, context: &ComponentContext<'_>) -> Result<Interfaces, InterfaceError> {
        let mut interfaces = Interfaces::default();
        interfaces.insert(key_value::KeyValue::of(context, &self.key_value).await?);
        interfaces.insert(llm::Llm::of(context, &self.llm)?);
        interfaces.insert(mqtt::Mqtt::of(context, &self.mqtt).await?);
        interfaces.insert(mysql::Mysql::of(context, &self.mysql).await?);
        interfaces.insert(postgres::Postgres::of(context));
        interfaces.insert(otel::Otel::of(context, self.telemetry.as_ref()));
        interfaces.insert(redis::Redis::of(context, &self.redis).await?);
        interfaces.insert(spin_http::SpinHttp::of(context));
        interfaces.insert(sqlite::Sqlite::of(context, &self.sqlite).await?);
        interfaces.insert(variables::ComponentVariables::of(context)?);
        sockets::prepare(&mut interfaces, context);
        Ok(interfaces)
    }
}

/// Defines every interface that this host has, once for the process.
pub fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    wasi_rc::add_to_linker(linker)?;
    sockets::add_to_linker(linker)?;
    key_value::add_to_linker(linker)?;
    llm::add_to_linker(linker)?;
    mqtt::add_to_linker(linker)?;
    mysql::add_to_linker(linker)?;
    otel::add_to_linker(linker)?;
    postgres::add_to_linker(linker)?;
    redis::add_to_linker(linker)?;
    spin_http::add_to_linker(linker)?;
    sqlite::add_to_linker(linker)?;
    variables::add_to_linker(linker)?;
    Ok(())
}
