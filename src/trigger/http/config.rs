//! The configuration of HTTP triggers in a locked app (`docs/contract/http-trigger.md §1`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

use crate::app::Trigger;

/// The only entry point that a Wagi module may name.
const WAGI_ENTRYPOINT: &str = "_start";
const DEFAULT_STATUS: u16 = 200;

/// What is wrong with a trigger.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("the trigger `{trigger}` has a configuration that is not understood")]
    Json {
        trigger: String,
        source: serde_json::Error,
    },
    #[error("the trigger `{0}` must have either a `component` or a `static_response`")]
    Target(String),
    #[error("the trigger `{0}` has the route {{\"private\": false}}: write the route itself")]
    PrivateFalse(String),
    #[error("the trigger `{trigger}` has the entry point `{entrypoint}`: a Wagi module starts at `_start`")]
    Entrypoint { trigger: String, entrypoint: String },
    #[error("the app's settings for HTTP triggers are not understood")]
    Settings(#[source] serde_json::Error),
}

/// One HTTP trigger.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct HttpTrigger {
    pub(super) id: String,
    pub(super) target: Target,
    /// `None` for a private endpoint, reached by the app's own components only.
    pub(super) route: Option<Route>,
    pub(super) executor: ExecutorConfig,
}

/// How a trigger's component is called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ExecutorConfig {
    /// By the handler that it exports.
    Http,
    /// As a CGI program, with this template of its arguments.
    Wagi { argv: Option<String> },
}

impl ExecutorConfig {
    /// What a component is called as.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Wagi { .. } => "wagi",
        }
    }
}

/// A route as it is written, and with the app's base before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Route {
    pub(super) written: String,
    pub(super) based: String,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Component(String),
    Static(StaticResponseConfig),
}

/// A response without a guest.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StaticResponseConfig {
    #[serde(default = "default_status")]
    pub(super) status_code: u16,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    pub(super) body: Option<String>,
}

fn default_status() -> u16 {
    DEFAULT_STATUS
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrigger {
    component: Option<String>,
    static_response: Option<StaticResponseConfig>,
    route: RawRoute,
    executor: Option<RawExecutor>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum RawRoute {
    Public(String),
    Private(RawPrivate),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrivate {
    private: bool,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase", deny_unknown_fields)]
enum RawExecutor {
    #[serde(alias = "spin")]
    Http {},
    Wagi {
        argv: Option<String>,
        entrypoint: Option<String>,
    },
}

impl HttpTrigger {
    /// `base` is put before the route, as Spin 2 and older did.
    pub(super) fn read(trigger: &Trigger, base: &str) -> Result<Self, ConfigError> {
        let id = || trigger.id.clone();
        let raw = RawTrigger::deserialize(&trigger.config).map_err(|source| ConfigError::Json {
            trigger: id(),
            source,
        })?;
        let executor = match raw.executor {
            None | Some(RawExecutor::Http {}) => ExecutorConfig::Http,
            Some(RawExecutor::Wagi { argv, entrypoint }) => {
                if let Some(entrypoint) = entrypoint.filter(|entrypoint| entrypoint != WAGI_ENTRYPOINT) {
                    return Err(ConfigError::Entrypoint {
                        trigger: id(),
                        entrypoint,
                    });
                }
                ExecutorConfig::Wagi { argv }
            }
        };
        let target = match (raw.component, raw.static_response) {
            (Some(component), None) => Target::Component(component),
            (None, Some(response)) => Target::Static(response),
            _ => return Err(ConfigError::Target(id())),
        };
        let route = match raw.route {
            RawRoute::Public(written) => Some(Route {
                based: with_base(base, &written),
                written,
            }),
            RawRoute::Private(RawPrivate { private: true }) => None,
            RawRoute::Private(RawPrivate { private: false }) => return Err(ConfigError::PrivateFalse(id())),
        };
        Ok(Self {
            id: trigger.id.clone(),
            target,
            route,
            executor,
        })
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSettings {
    base: Option<String>,
}

/// The app's global `base`, for `spin-base-path`; `/` when there is none.
pub(super) fn base_path(settings: &Map<String, Value>) -> Result<String, ConfigError> {
    let settings =
        RawSettings::deserialize(Value::Object(settings.clone())).map_err(ConfigError::Settings)?;
    Ok(settings
        .base
        .filter(|base| !base.is_empty())
        .unwrap_or_else(|| "/".into()))
}

fn with_base(base: &str, route: &str) -> String {
    match base.trim_end_matches('/') {
        "" => route.to_owned(),
        base => format!("{base}/{}", route.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_with_base(config: Value, base: &str) -> Result<HttpTrigger, ConfigError> {
        let trigger = json!({"id": "t", "trigger_type": "http", "trigger_config": config});
        HttpTrigger::read(&serde_json::from_value(trigger).unwrap(), base)
    }

    fn read(config: Value) -> Result<HttpTrigger, ConfigError> {
        read_with_base(config, "/")
    }

    #[test]
    fn a_component_and_its_route() {
        let trigger = read(json!({"component": "a", "route": "/x/..."})).unwrap();
        assert_eq!(trigger.target, Target::Component("a".into()));
        assert_eq!(trigger.route.unwrap().based, "/x/...");
        for executor in ["http", "spin"] {
            read(json!({"component": "a", "route": "/", "executor": {"type": executor}})).unwrap();
        }
    }

    #[test]
    fn a_private_endpoint_has_no_route() {
        assert_eq!(
            read(json!({"component": "a", "route": {"private": true}}))
                .unwrap()
                .route,
            None
        );
        let error = read(json!({"component": "a", "route": {"private": false}})).unwrap_err();
        assert!(matches!(error, ConfigError::PrivateFalse(_)));
    }

    #[test]
    fn a_static_response_has_its_defaults() {
        let trigger = read(json!({"route": "/", "static_response": {}})).unwrap();
        let expected = StaticResponseConfig {
            status_code: 200,
            headers: BTreeMap::new(),
            body: None,
        };
        assert_eq!(trigger.target, Target::Static(expected));
    }

    #[test]
    fn a_trigger_has_one_target() {
        for config in [
            json!({"route": "/"}),
            json!({"route": "/", "component": "a", "static_response": {}}),
        ] {
            assert!(matches!(read(config), Err(ConfigError::Target(_))));
        }
    }

    #[test]
    fn unknown_members_are_errors() {
        for config in [
            json!({"component": "a", "route": "/", "rout": 1}),
            json!({"component": "a", "route": "/", "executor": {"type": "http", "x": 1}}),
            json!({"route": "/", "static_response": {"status": 1}}),
        ] {
            assert!(matches!(read(config), Err(ConfigError::Json { .. })));
        }
        assert!(base_path(json!({"bass": "/"}).as_object().unwrap()).is_err());
    }

    #[test]
    fn a_wagi_program_starts_where_they_all_do() {
        let wagi = |executor: Value| read(json!({"component": "a", "route": "/", "executor": executor}));
        assert_eq!(
            wagi(json!({"type": "wagi", "entrypoint": "_start"}))
                .unwrap()
                .executor,
            ExecutorConfig::Wagi { argv: None }
        );
        assert_eq!(
            wagi(json!({"type": "wagi", "argv": "a ${ARGS}"}))
                .unwrap()
                .executor,
            ExecutorConfig::Wagi {
                argv: Some("a ${ARGS}".into())
            }
        );
        assert!(matches!(
            wagi(json!({"type": "wagi", "entrypoint": "x"})),
            Err(ConfigError::Entrypoint { .. })
        ));
    }

    #[test]
    fn the_base_of_old_apps_is_put_before_each_route() {
        let route = |base| {
            read_with_base(json!({"component": "a", "route": "/x/..."}), base)
                .unwrap()
                .route
                .unwrap()
                .based
        };
        assert_eq!(route("/b/"), "/b/x/...");
        assert_eq!(route("/"), "/x/...");
        assert_eq!(
            base_path(json!({"base": "/b"}).as_object().unwrap()).unwrap(),
            "/b"
        );
        assert_eq!(base_path(&Map::new()).unwrap(), "/");
    }
}
