//! The content as it is written, in TOML or JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::{
    ApiType, ClientTls, Connections, KeyValueStore, LlmCompute, MqttConnections, OutboundHttpConfig,
    OutboundNetworking, RuntimeConfig, SqliteDatabase, VariablesProvider,
};
use crate::net::Network;
use crate::variables::Secret;

/// The prefix of the `env` provider that has none.
const DEFAULT_PREFIX: &str = "SPIN_VARIABLE";

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "RuntimeConfig")]
pub(super) struct Raw {
    /// Instead of the app file's `state_dir`.
    state_dir: Option<PathBuf>,
    /// Without effect: what guests print goes to the log.
    log_dir: Option<PathBuf>,
    /// Bytes that one linear memory may have.
    max_instance_memory: Option<usize>,
    /// Key-value stores, by label.
    #[serde(default)]
    key_value_store: BTreeMap<String, RawStore>,
    /// SQLite databases, by label.
    #[serde(default)]
    sqlite_database: BTreeMap<String, RawDatabase>,
    /// Where values of variables come from, asked in this order.
    variables_provider: Option<Vec<RawProvider>>,
    /// The older name, read only where the newer is absent.
    config_provider: Option<Vec<RawProvider>>,
    /// Who answers the questions of language models.
    llm_compute: Option<RawLlm>,
    /// How components meet hosts by TLS; the first entry that fits is used.
    #[serde(default)]
    client_tls: Vec<RawTls>,
    /// Networks that guests can't reach, and numbers of connections of all kinds.
    #[serde(default)]
    outbound_networking: RawNetworking,
    /// Outbound HTTP.
    outbound_http: Option<RawHttp>,
    /// Connections to Redis.
    #[serde(default)]
    outbound_redis: RawConnections,
    /// Connections to PostgreSQL.
    #[serde(default)]
    outbound_pg: RawConnections,
    /// Connections to MySQL.
    #[serde(default)]
    outbound_mysql: RawConnections,
    /// Connections to MQTT.
    #[serde(default)]
    outbound_mqtt: RawMqtt,
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "KeyValueStore")]
enum RawStore {
    Spin {
        path: Option<PathBuf>,
    },
    Redis {
        #[schemars(with = "String")]
        url: Secret,
    },
    AwsDynamo {
        #[schemars(with = "Option<String>")]
        access_key: Option<Secret>,
        #[schemars(with = "Option<String>")]
        secret_key: Option<Secret>,
        #[schemars(with = "Option<String>")]
        token: Option<Secret>,
        region: String,
        #[serde(default)]
        consistent_read: bool,
        table: String,
    },
    /// Known, so that the error can say more than "unknown".
    #[schemars(skip)]
    AzureCosmos(IgnoredAny),
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "SqliteDatabase")]
enum RawDatabase {
    Spin {
        path: Option<PathBuf>,
        #[serde(default)]
        allow_attach_file: bool,
    },
    Libsql {
        url: String,
        #[schemars(with = "String")]
        token: Secret,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "VariablesProvider")]
enum RawProvider {
    Env {
        prefix: Option<String>,
        dotenv_path: Option<PathBuf>,
    },
    Static {
        #[schemars(with = "BTreeMap<String, String>")]
        values: BTreeMap<String, Secret>,
    },
    Vault {
        url: String,
        #[schemars(with = "String")]
        token: Secret,
        mount: String,
        prefix: Option<String>,
    },
    /// As above.
    #[schemars(skip)]
    AzureKeyVault(IgnoredAny),
}

#[derive(Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
#[schemars(rename = "LlmCompute")]
enum RawLlm {
    Spin,
    RemoteHttp {
        url: String,
        #[schemars(with = "String")]
        auth_token: Secret,
        #[serde(default)]
        api_type: ApiType,
    },
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ClientTls")]
struct RawTls {
    /// The components that it is for.
    component_ids: Vec<String>,
    /// The hosts that it is for, without ports.
    hosts: Vec<String>,
    /// Whether the system's roots are trusted; left out, unless `ca_roots_file` is there.
    ca_use_platform_roots: Option<bool>,
    /// Whether Mozilla's roots are trusted.
    ca_use_webpki_roots: Option<bool>,
    /// A PEM file of authorities to trust.
    ca_roots_file: Option<PathBuf>,
    /// The certificate chain that is shown to the hosts, a PEM file.
    client_cert_file: Option<PathBuf>,
    /// Its key, a PEM file.
    client_private_key_file: Option<PathBuf>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutboundNetworking")]
struct RawNetworking {
    /// What guests can't reach: networks, addresses, or "private".
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    block_networks: Vec<Network>,
    /// Connections of sockets at once.
    max_socket_connections: Option<usize>,
    /// Connections of all kinds at once.
    max_total_connections: Option<usize>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "OutboundHttp")]
struct RawHttp {
    /// Off in a table that does not name it, as Spin has it.
    #[serde(default)]
    connection_pooling: bool,
    /// Connections at once.
    max_connections: Option<usize>,
    /// The older name for one less.
    max_concurrent_requests: Option<usize>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Connections")]
struct RawConnections {
    /// At once.
    max_connections: Option<usize>,
}

#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "MqttConnections")]
struct RawMqtt {
    /// At once.
    max_connections: Option<usize>,
    /// Bytes of one message.
    max_payload_size_bytes: Option<usize>,
}

/// Reads TOML; the reason has line, column and alternatives.
pub(super) fn parse(text: &str) -> Result<RuntimeConfig, String> {
    let raw: Raw = toml::from_str(text).map_err(|error| error.to_string())?;
    raw.typed()
}

impl Raw {
    /// What can only be said of whole tables.
    pub(super) fn typed(self) -> Result<RuntimeConfig, String> {
        let stores = self.key_value_store.into_iter();
        let stores = stores.map(|(label, store)| Ok((label.clone(), store.typed(&label)?)));
        let providers = self.variables_provider.or(self.config_provider);
        let providers = providers.unwrap_or_default().into_iter();
        Ok(RuntimeConfig {
            // Spin takes an empty text for none.
            state_dir: self.state_dir.filter(|path| !path.as_os_str().is_empty()),
            log_dir: self.log_dir.filter(|path| !path.as_os_str().is_empty()),
            max_instance_memory: self.max_instance_memory,
            key_value_stores: stores.collect::<Result<_, String>>()?,
            sqlite_databases: self
                .sqlite_database
                .into_iter()
                .map(|(label, database)| (label, database.typed()))
                .collect(),
            variables_providers: providers.map(RawProvider::typed).collect::<Result<_, _>>()?,
            llm_compute: self.llm_compute.map(RawLlm::typed),
            client_tls: self
                .client_tls
                .into_iter()
                .enumerate()
                .map(|(at, tls)| tls.typed(at))
                .collect::<Result<_, _>>()?,
            outbound_networking: OutboundNetworking {
                block_networks: self.outbound_networking.block_networks,
                max_socket_connections: self.outbound_networking.max_socket_connections,
                max_total_connections: self.outbound_networking.max_total_connections,
            },
            outbound_http: self.outbound_http.map(RawHttp::typed).transpose()?,
            outbound_redis: self.outbound_redis.typed(),
            outbound_pg: self.outbound_pg.typed(),
            outbound_mysql: self.outbound_mysql.typed(),
            outbound_mqtt: MqttConnections {
                max_connections: self.outbound_mqtt.max_connections,
                max_payload_size_bytes: self.outbound_mqtt.max_payload_size_bytes,
            },
        })
    }
}

impl RawStore {
    fn typed(self, label: &str) -> Result<KeyValueStore, String> {
        Ok(match self {
            Self::Spin { path } => KeyValueStore::Spin { path },
            Self::Redis { url } => KeyValueStore::Redis { url },
            Self::AwsDynamo {
                access_key,
                secret_key,
                token,
                region,
                consistent_read,
                table,
            } => KeyValueStore::AwsDynamo {
                access_key,
                secret_key,
                token,
                region,
                consistent_read,
                table,
            },
            Self::AzureCosmos(_) => {
                return Err(format!(
                    "key_value_store.{label}: this host has no client for the type `azure_cosmos`; it has `spin`, `redis` and `aws_dynamo`"
                ));
            }
        })
    }
}

impl RawDatabase {
    fn typed(self) -> SqliteDatabase {
        match self {
            Self::Spin {
                path,
                allow_attach_file,
            } => SqliteDatabase::Spin {
                path,
                allow_attach_file,
            },
            Self::Libsql { url, token } => SqliteDatabase::Libsql { url, token },
        }
    }
}

impl RawProvider {
    fn typed(self) -> Result<VariablesProvider, String> {
        Ok(match self {
            Self::Env { prefix, dotenv_path } => VariablesProvider::Env {
                prefix: prefix.unwrap_or_else(|| DEFAULT_PREFIX.into()),
                dotenv_path,
            },
            Self::Static { values } => VariablesProvider::Static { values },
            Self::Vault {
                url,
                token,
                mount,
                prefix,
            } => VariablesProvider::Vault {
                url,
                token,
                mount,
                prefix,
            },
            Self::AzureKeyVault(_) => {
                return Err(
                    "variables_provider: this host has no client for the type `azure_key_vault`; it has `env`, `static` and `vault`".into(),
                );
            }
        })
    }
}

impl RawLlm {
    fn typed(self) -> LlmCompute {
        match self {
            Self::Spin => LlmCompute::Spin,
            Self::RemoteHttp {
                url,
                auth_token,
                api_type,
            } => LlmCompute::RemoteHttp {
                url,
                auth_token,
                api_type,
            },
        }
    }
}

impl RawTls {
    fn typed(self, at: usize) -> Result<ClientTls, String> {
        let wrong = |reason| Err(format!("client_tls, entry {}: {reason}", at + 1));
        if self.component_ids.is_empty() {
            return wrong("`component_ids` is empty: name the components it is for");
        }
        if self.hosts.is_empty() {
            return wrong("`hosts` is empty: name the hosts it is for");
        }
        let client_certificate = match (self.client_cert_file, self.client_private_key_file) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => {
                return wrong(
                    "a client certificate needs both `client_cert_file` and `client_private_key_file`",
                );
            }
        };
        Ok(ClientTls {
            component_ids: self.component_ids,
            hosts: self.hosts,
            ca_use_platform_roots: self.ca_use_platform_roots,
            ca_use_webpki_roots: self.ca_use_webpki_roots,
            ca_roots_file: self.ca_roots_file,
            client_certificate,
        })
    }
}

impl RawHttp {
    fn typed(self) -> Result<OutboundHttpConfig, String> {
        let max_connections = match (self.max_connections, self.max_concurrent_requests) {
            (Some(_), Some(_)) => {
                return Err("outbound_http: `max_connections` and `max_concurrent_requests` exclude each other; the second is deprecated".into());
            }
            // As Spin counts.
            (None, Some(requests)) => Some(requests.saturating_add(1)),
            (connections, None) => connections,
        };
        Ok(OutboundHttpConfig {
            connection_pooling: self.connection_pooling,
            max_connections,
        })
    }
}

impl RawConnections {
    fn typed(self) -> Connections {
        Connections {
            max_connections: self.max_connections,
        }
    }
}
