//! The operator's side of an app's interfaces: which backends stand behind its labels, and what it may have of the network
//! (`docs/contract/runtime-config.md`).
//!
//! Spin's own TOML file is read unchanged; an app file may hold the same content as JSON. Only reading happens here: nothing
//! is opened or connected to.

mod error;
mod merge;
mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

pub use error::RuntimeConfigError;

use crate::net::Network;
use crate::variables::Secret;

/// One app's runtime configuration, or the daemon's for all apps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RuntimeConfig {
    /// Instead of the app file's `state_dir`.
    pub state_dir: Option<PathBuf>,
    /// Where the files are that guests print to; the daemon's has a directory for each app.
    pub log_dir: Option<PathBuf>,
    /// Bytes that one linear memory may have.
    pub max_instance_memory: Option<usize>,
    /// By label.
    pub key_value_stores: BTreeMap<String, KeyValueStore>,
    /// By label.
    pub sqlite_databases: BTreeMap<String, SqliteDatabase>,
    /// Asked in this order.
    pub variables_providers: Vec<VariablesProvider>,
    pub llm_compute: Option<LlmCompute>,
    /// The first that fits a component and a host is used.
    pub client_tls: Vec<ClientTls>,
    pub outbound_networking: OutboundNetworking,
    pub outbound_http: Option<OutboundHttpConfig>,
    pub outbound_redis: Connections,
    pub outbound_pg: Connections,
    pub outbound_mysql: Connections,
    pub outbound_mqtt: MqttConnections,
}

/// What is behind a label of a key-value store (`docs/contract/runtime-config.md §3`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeyValueStore {
    /// A SQLite file; without a path it is in memory.
    Spin {
        path: Option<PathBuf>,
    },
    Redis {
        url: Secret,
    },
    AwsDynamo {
        access_key: Option<Secret>,
        secret_key: Option<Secret>,
        token: Option<Secret>,
        region: String,
        consistent_read: bool,
        table: String,
    },
}

/// What is behind a label of a SQLite database (`docs/contract/runtime-config.md §4`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqliteDatabase {
    /// A file; without a path each connection has a database of its own in memory.
    Spin {
        path: Option<PathBuf>,
        allow_attach_file: bool,
    },
    Libsql {
        url: String,
        token: Secret,
    },
}

/// Where values of variables come from (`docs/contract/runtime-config.md §5`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VariablesProvider {
    /// The process's environment, then a file of `NAME=value` lines.
    Env {
        prefix: String,
        dotenv_path: Option<PathBuf>,
    },
    Static {
        values: BTreeMap<String, Secret>,
    },
    Vault {
        url: String,
        token: Secret,
        mount: String,
        prefix: Option<String>,
    },
}

/// Who answers the questions of `llm` (`docs/contract/runtime-config.md §6`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LlmCompute {
    /// Models on this machine, which this host does not have.
    Spin,
    RemoteHttp {
        url: String,
        auth_token: Secret,
        api_type: ApiType,
    },
}

/// What a server of language models speaks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ApiType {
    /// Spin's own.
    #[default]
    Default,
    OpenAi,
}

/// How some components meet some hosts by TLS (`docs/contract/runtime-config.md §7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientTls {
    pub component_ids: Vec<String>,
    /// Names without ports.
    pub hosts: Vec<String>,
    pub ca_use_platform_roots: Option<bool>,
    pub ca_use_webpki_roots: Option<bool>,
    pub ca_roots_file: Option<PathBuf>,
    /// A certificate chain and its key, both in PEM.
    pub client_certificate: Option<(PathBuf, PathBuf)>,
}

/// Networks and numbers of connections for all protocols.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OutboundNetworking {
    pub block_networks: Vec<Network>,
    pub max_socket_connections: Option<usize>,
    pub max_total_connections: Option<usize>,
}

/// Outbound HTTP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboundHttpConfig {
    pub connection_pooling: bool,
    pub max_connections: Option<usize>,
}

/// Connections of one protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Connections {
    pub max_connections: Option<usize>,
}

/// Connections of MQTT.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MqttConnections {
    pub max_connections: Option<usize>,
    /// Of one message.
    pub max_payload_size_bytes: Option<usize>,
}

/// Where an app file says what its runtime configuration is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RuntimeConfigSource {
    /// A TOML file.
    File(PathBuf),
    /// The same content, right there; relative paths of stores are in the app's state directory.
    Inline(Box<RuntimeConfig>),
}

impl RuntimeConfig {
    /// The files of stores and databases.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        let stores = self.key_value_stores.values().filter_map(|store| match store {
            KeyValueStore::Spin { path } => path.as_deref(),
            _ => None,
        });
        let databases = self
            .sqlite_databases
            .values()
            .filter_map(|database| match database {
                SqliteDatabase::Spin { path, .. } => path.as_deref(),
                SqliteDatabase::Libsql { .. } => None,
            });
        stores.chain(databases)
    }

    /// Reads a TOML file. Relative paths in it are relative to its directory (Spin takes those of SQLite databases from the
    /// working directory, which a daemon has no use for).
    ///
    /// # Errors
    /// A file that can't be read or understood, with the place.
    pub fn read(file: &Path) -> Result<Self, RuntimeConfigError> {
        let unreadable = |source| RuntimeConfigError::Unreadable {
            file: file.into(),
            source,
        };
        let text = std::fs::read_to_string(file).map_err(unreadable)?;
        let mut config = raw::parse(&text).map_err(|reason| RuntimeConfigError::Invalid {
            file: file.into(),
            reason,
        })?;
        let base = std::path::absolute(file).map_err(unreadable)?;
        config.resolve_operator_paths(base.parent().unwrap_or(Path::new("/")));
        Ok(config)
    }
}

impl<'de> serde::Deserialize<'de> for RuntimeConfig {
    /// The content of an app file's `runtime_config`.
    fn deserialize<D: serde::Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let raw = raw::Raw::deserialize(input)?;
        raw.typed().map_err(serde::de::Error::custom)
    }
}

/// As an app file's `runtime_config` holds it.
impl schemars::JsonSchema for RuntimeConfig {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        raw::Raw::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        raw::Raw::json_schema(generator)
    }
}

#[cfg(test)]
mod tests;
