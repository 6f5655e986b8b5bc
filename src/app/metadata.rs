//! The metadata of apps and components (`docs/contract/locked-app.md §2, §4.3`).

use serde_json::{Map, Value};

use super::error::AppError;

/// The member of 1.x artifacts that stood for every host.
const LEGACY_ALLOW_ALL: &str = "insecure:allow-all";

/// What a component may use. An absent list is an empty one: nothing is allowed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ComponentMetadata {
    pub description: Option<String>,
    /// `scheme://host:port` patterns, perhaps with templates; those of 1.x artifacts are converted.
    pub allowed_outbound_hosts: Vec<String>,
    pub key_value_stores: Vec<String>,
    pub databases: Vec<String>,
    pub ai_models: Vec<String>,
}

impl ComponentMetadata {
    pub(super) fn read(component: &str, metadata: &Map<String, Value>) -> Result<Self, AppError> {
        let list = |name: &str| -> Result<Vec<String>, AppError> {
            let Some(value) = metadata.get(name) else {
                return Ok(Vec::new());
            };
            serde_json::from_value(value.clone())
                .map_err(|_| AppError::component(component, format!("its `{name}` is not a list of strings")))
        };
        let mut allowed_outbound_hosts = list("allowed_outbound_hosts")?;
        allowed_outbound_hosts.extend(convert_legacy(&list("allowed_http_hosts")?));
        Ok(Self {
            description: metadata
                .get("description")
                .and_then(Value::as_str)
                .map(str::to_owned),
            allowed_outbound_hosts,
            key_value_stores: list("key_value_stores")?,
            databases: list("databases")?,
            ai_models: list("ai_models")?,
        })
    }
}

/// The `allowed_http_hosts` of Spin 1.x in the form that Spin 2 gave them.
fn convert_legacy(hosts: &[String]) -> Vec<String> {
    if hosts.iter().any(|host| host == LEGACY_ALLOW_ALL) {
        return ["http://*:*", "https://*:*", "http://self"]
            .map(String::from)
            .into();
    }
    let mut converted = Vec::new();
    for host in hosts {
        if host == "self" {
            converted.push("http://self".into());
            continue;
        }
        let bare = host
            .strip_prefix("https://")
            .or_else(|| host.strip_prefix("http://"))
            .unwrap_or(host);
        let bare = bare.trim_end_matches('/');
        converted.extend([format!("http://{bare}"), format!("https://{bare}")]);
    }
    converted
}

/// `triggers[kind]` where there is `triggers`; else the 1.x form, when it is of this kind.
pub(super) fn trigger_settings(metadata: &Map<String, Value>, kind: &str) -> Map<String, Value> {
    let settings = match metadata.get("triggers") {
        Some(triggers) => triggers.get(kind).cloned(),
        None => metadata
            .get("trigger")
            .filter(|trigger| trigger.get("type").and_then(Value::as_str) == Some(kind))
            .cloned(),
    };
    let mut settings = match settings {
        Some(Value::Object(settings)) => settings,
        _ => Map::new(),
    };
    settings.remove("type");
    settings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn hosts_of_the_first_generation_are_converted() {
        let hosts =
            |list: &[&str]| convert_legacy(&list.iter().map(|host| host.to_string()).collect::<Vec<_>>());
        assert_eq!(
            hosts(&["a", "insecure:allow-all"]),
            ["http://*:*", "https://*:*", "http://self"]
        );
        assert_eq!(
            hosts(&["self", "h:1"]),
            ["http://self", "http://h:1", "https://h:1"]
        );
        assert_eq!(hosts(&["https://h/"]), ["http://h", "https://h"]);
    }

    #[test]
    fn both_generations_of_hosts_count() {
        let metadata =
            object(json!({"allowed_outbound_hosts": ["redis://a:1"], "allowed_http_hosts": ["b"]}));
        let read = ComponentMetadata::read("c", &metadata).unwrap();
        assert_eq!(
            read.allowed_outbound_hosts,
            ["redis://a:1", "http://b", "https://b"]
        );
    }

    #[test]
    fn a_list_of_another_type_names_the_component() {
        let error = ComponentMetadata::read("c", &object(json!({"databases": "x"})))
            .unwrap_err()
            .to_string();
        assert!(error.contains("`c`") && error.contains("databases"), "{error}");
    }

    #[test]
    fn trigger_settings_come_from_either_form() {
        let old = object(json!({"trigger": {"type": "http", "base": "/b"}}));
        assert_eq!(trigger_settings(&old, "http"), object(json!({"base": "/b"})));
        assert_eq!(trigger_settings(&old, "redis"), Map::new());
        let new = object(
            json!({"triggers": {"redis": {"address": "r"}}, "trigger": {"type": "http", "base": "/b"}}),
        );
        assert_eq!(trigger_settings(&new, "http"), Map::new());
        assert_eq!(trigger_settings(&new, "redis"), object(json!({"address": "r"})));
    }
}
