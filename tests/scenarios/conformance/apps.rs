//! The servers, the daemon, and one app for each guest.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::support::doubles::{Collector, Llm};
use crate::support::libsql::LibsqlDouble;
use crate::support::mosquitto::Mosquitto;
#[cfg(feature = "aws")]
use crate::support::moto::{Moto, REGION};
use crate::support::mysql::Mysql;
use crate::support::openbao::{self, OpenBao};
use crate::support::peer::Echo;
use crate::support::postgres::Postgres;
use crate::support::prelude::*;
use crate::support::redis::Redis;

use super::case::{Section, matches};
use super::wasi;

/// An app whose backends are all down.
pub const DOWN: &str = "down";
/// An address where nothing listens: its port is not for ordinary programs.
pub const NOWHERE: &str = "127.0.0.1:1";
/// What is behind the label `cloud`.
#[cfg(feature = "aws")]
const TABLE: &str = "stores";

pub struct Apps {
    pub redis: Redis,
    pub postgres: Postgres,
    pub mysql: Mysql,
    pub mosquitto: Mosquitto,
    #[cfg(feature = "aws")]
    pub moto: Moto,
    pub collector: Collector,
    /// Serves other components' requests.
    pub target: SocketAddr,
    /// Answers as no library would.
    pub peer: wasi::peer::Peer,
    pub echo: Echo,
    pub daemon: Daemon,
    addresses: BTreeMap<&'static str, SocketAddr>,
    _layouts: Vec<Layout>,
    _llm: Llm,
    _bao: OpenBao,
    _libsql: LibsqlDouble,
}

impl Apps {
    pub async fn start() -> Self {
        let (redis, postgres, mysql, mosquitto, llm, collector, bao) = tokio::join!(
            Redis::plain(),
            Postgres::start(),
            Mysql::plain(),
            Mosquitto::plain(),
            Llm::start(),
            Collector::start(),
            OpenBao::start(),
        );
        bao.put("from_static", "a secret value").await;
        let daemon = Daemon::builder().env("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url());
        #[cfg(feature = "aws")]
        let moto = Moto::start().await;
        #[cfg(feature = "aws")]
        moto.create_table(TABLE).await;
        #[cfg(feature = "aws")]
        let daemon = moto.known_to(daemon);
        let daemon = daemon.start().await;
        let mut layouts = vec![Layout::with(&App::of("probe", "1"))];
        let target = daemon.serve("target", &layouts[0].file("v1")).await;
        let libsql = LibsqlDouble::start("token");
        let (peer, echo) = (wasi::peer::Peer::start().await, Echo::start().await);
        let up = json!({
            "key_value_store": {
                "default": {"type": "spin", "path": "kv.db"},
                "cache": {"type": "redis", "url": redis.address()},
            },
            "sqlite_database": {"remote": {"type": "libsql", "url": libsql.url(), "token": "token"}},
            "variables_provider": [{"type": "static", "values": {"from_static": "a static value"}}],
            "llm_compute": {"type": "remote_http", "url": llm.url(), "auth_token": "the token"},
        });
        let vault = json!({
            "key_value_store": {"cache": {"type": "redis", "url": redis.address()}},
            "sqlite_database": {"remote": {"type": "libsql", "url": libsql.url(), "token": "token"}},
            "variables_provider": [{"type": "vault", "url": bao.url(), "token": openbao::TOKEN, "mount": openbao::MOUNT}],
        });
        let down = json!({
            "key_value_store": {"cache": {"type": "redis", "url": format!("redis://{NOWHERE}")}},
            "sqlite_database": {
                "remote": {"type": "libsql", "url": format!("http://{NOWHERE}"), "token": "token"},
            },
            "variables_provider": [
                {"type": "vault", "url": format!("http://{NOWHERE}"), "token": "root", "mount": "secret"},
            ],
            "llm_compute": {"type": "remote_http", "url": format!("http://{NOWHERE}"), "auth_token": "the token"},
        });
        #[cfg(feature = "aws")]
        let [up, vault, down] = [(up, TABLE), (vault, TABLE), (down, "no-such-table")].map(cloud);
        let mut addresses = BTreeMap::new();
        for (name, guest, configuration) in [
            ("apis1", "apis1", &up),
            ("apis1-core", "apis1-core", &up),
            ("apis5", "apis5", &up),
            ("apis7", "apis7", &up),
            ("sql7", "sql7", &up),
            ("otel7", "otel7", &up),
            ("vault", "apis5", &vault),
            (DOWN, "apis5", &down),
        ] {
            let layout = Layout::with(&app(guest, target));
            let mut file = layout.file("v1");
            file["runtime_config"] = configuration.clone();
            addresses.insert(name, daemon.serve(name, &file).await);
            layouts.push(layout);
        }
        for name in ["wasi2", "wasi3"] {
            let layout = Layout::with(&wasi::app(name, target, peer.address, &echo));
            addresses.insert(name, daemon.serve(name, &layout.file("v1")).await);
            layouts.push(layout);
        }
        Self {
            redis,
            postgres,
            mysql,
            mosquitto,
            #[cfg(feature = "aws")]
            moto,
            collector,
            target,
            peer,
            echo,
            daemon,
            addresses,
            _layouts: layouts,
            _llm: llm,
            _bao: bao,
            _libsql: libsql,
        }
    }

    /// Where that app listens.
    pub fn address(&self, app: &str) -> SocketAddr {
        self.addresses[app]
    }

    /// Runs a script; answers with what is not as it should be.
    pub async fn run(&self, section: &Section) -> Vec<String> {
        let told = format!("{} ({}, {})", section.interface, section.app, section.backend);
        let address = self.address(section.app);
        let mut connection = Connection::open(address).await.expect("it listens");
        let reply = connection
            .post(&format!("/{}", section.path), section.script())
            .await;
        let reply = match reply {
            Ok(reply) => reply,
            Err(error) => return vec![format!("{told}: no answer: {error}")],
        };
        let text = reply.text().to_owned();
        if section.traps() {
            return match reply.status.as_u16() {
                500 => Vec::new(),
                _ => vec![format!("{told}: the guest went on: {text}")],
            };
        }
        if reply.status != 200 {
            return vec![format!("{told}: {} {text}", reply.status)];
        }
        let mut failures = Vec::new();
        let mut lines = text.lines();
        for call in &section.calls {
            let line = lines.next().unwrap_or("{}");
            let got: Value = serde_json::from_str(line).unwrap_or_default();
            if !matches(&call.expected, &got["result"]) || got["function"] != call.function {
                failures.push(format!(
                    "{told}: {}{}\n    expected {}\n    got      {}",
                    call.function, call.arguments, call.expected, got["result"]
                ));
            }
        }
        failures
    }

    pub fn logs(&self) -> String {
        let logs = self.daemon.logs();
        let lines: Vec<_> = logs
            .lines()
            .filter(|line| line.contains("ERROR"))
            .take(40)
            .collect();
        lines.join("\n")
    }
}

/// The same configuration with the label `cloud`, in a table.
#[cfg(feature = "aws")]
fn cloud((mut configuration, table): (Value, &str)) -> Value {
    configuration["key_value_store"]["cloud"] =
        json!({"type": "aws_dynamo", "region": REGION, "table": table, "consistent_read": true});
    configuration
}

/// The guest as a component that is granted one of everything.
fn app(guest_name: &str, target: SocketAddr) -> App {
    let mut component = Component::new(guest_name, guest(guest_name))
        .grant("key_value_stores", "default")
        .grant("key_value_stores", "cache")
        .grant("databases", "default")
        .grant("databases", "remote")
        .grant("ai_models", "llama2-chat")
        .grant("ai_models", "all-minilm-l6-v2")
        .config("greeting", "hello {{ plain }}")
        .config("from_provider", "{{ from_static }}")
        .config("literal", "just text");
    if cfg!(feature = "aws") {
        component = component.grant("key_value_stores", "cloud");
    }
    for scheme in ["redis", "postgres", "mysql", "mqtt"] {
        for host in ["127.0.0.1", "localhost"] {
            component = component.allow(&format!("{scheme}://{host}:*"));
        }
    }
    component = component
        .allow(&format!("http://{target}"))
        .allow(&format!("http://{NOWHERE}"));
    App::new(guest_name)
        .component(component)
        .route("/...", guest_name)
        .variable("plain", json!({"default": "world"}))
        .variable("from_static", json!({"default": "not this"}))
}
