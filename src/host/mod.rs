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

/// Defines the interfaces of this host that have nothing asynchronous.
pub fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p2::add_to_linker_async(linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(linker)?;
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
    variables::add_to_linker(linker)
}

/// Defines all others: [`is_concurrent`] is true of their names.
pub fn link_concurrent(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    wasmtime_wasi::p3::add_to_linker(linker)?;
    wasmtime_wasi_http::p3::add_to_linker(linker)?;
    sockets::add_concurrent_to_linker(linker)?;
    key_value::add_concurrent_to_linker(linker)?;
    mqtt::add_concurrent_to_linker(linker)?;
    mysql::add_concurrent_to_linker(linker)?;
    postgres::add_concurrent_to_linker(linker)?;
    redis::add_concurrent_to_linker(linker)?;
    sqlite::add_concurrent_to_linker(linker)?;
    variables::add_concurrent_to_linker(linker)
}

/// Whether it is a name of an interface with asynchronous functions: those of WASI 0.3, and of Spin's packages `spin:`, but for the one that is older.
pub fn is_concurrent(import: &str) -> bool {
    let of_wasi = import.starts_with("wasi:") && import.contains("@0.3.");
    let of_spin = import.starts_with("spin:") && !import.starts_with("spin:postgres/postgres@3.");
    of_wasi || of_spin
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use wit_parser::{Resolve, TypeDefKind, WorldItem};

    use super::*;

    #[test]
    fn the_names_of_asynchronous_interfaces_are_known() {
        let mut resolve = Resolve::default();
        let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/host");
        let (package, _) = resolve.push_dir(wit).unwrap();
        let mut seen = [0, 0];
        for world in resolve.packages[package].worlds.values() {
            for (key, item) in &resolve.worlds[*world].imports {
                let WorldItem::Interface { id, .. } = item else {
                    continue;
                };
                let interface = &resolve.interfaces[*id];
                if interface.functions.is_empty() {
                    continue;
                }
                let has_streams = interface.types.values().any(|ty| {
                    matches!(
                        resolve.types[*ty].kind,
                        TypeDefKind::Stream(_) | TypeDefKind::Future(_)
                    )
                });
                let is_async = interface
                    .functions
                    .values()
                    .any(|function| function.kind.is_async());
                let name = resolve.name_world_key(key);
                assert_eq!(is_concurrent(&name), is_async || has_streams, "{name}");
                seen[usize::from(is_async)] += 1;
            }
        }
        assert!(seen[0] > 10 && seen[1] > 5, "{seen:?}");
    }
}
