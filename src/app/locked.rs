//! The JSON of a locked app. Unknown members are ignored everywhere but in trigger configs, where each trigger decides.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;
use serde_json::{Map, Value};

use super::dependency::Dependency;
use super::error::AppError;
use super::files::{self, FileMount};
use super::metadata::{self, ComponentMetadata};
use super::requirements;
use crate::oci::Digest;

/// The newest version of the format that this host reads.
const MAX_VERSION: u64 = 1;

/// An application as a registry artifact carries it.
#[derive(Debug, Clone, Deserialize)]
pub struct LockedApp {
    spin_lock_version: u64,
    #[serde(default)]
    must_understand: Vec<String>,
    #[serde(default)]
    metadata: Map<String, Value>,
    #[serde(default)]
    host_requirements: BTreeMap<String, Value>,
    /// The app's variables by name.
    #[serde(default)]
    pub variables: BTreeMap<String, Variable>,
    pub triggers: Vec<Trigger>,
    pub components: Vec<Component>,
}

/// A variable that the app declares; without a default it is required.
#[derive(Debug, Clone, Deserialize)]
pub struct Variable {
    pub default: Option<String>,
    #[serde(default)]
    pub secret: bool,
}

/// What starts a component.
#[derive(Debug, Clone, Deserialize)]
pub struct Trigger {
    pub id: String,
    #[serde(rename = "trigger_type")]
    pub kind: String,
    /// For the trigger of this kind to read.
    #[serde(rename = "trigger_config", default)]
    pub config: Value,
    #[serde(default)]
    trigger_dependencies: BTreeMap<String, Vec<Value>>,
}

/// A Wasm binary with what it is given.
#[derive(Debug, Clone, Deserialize)]
pub struct Component {
    pub id: String,
    #[serde(default)]
    metadata: Map<String, Value>,
    pub source: ContentRef,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    files: Vec<files::RawMount>,
    /// Templates over the app's variables.
    #[serde(default)]
    pub config: BTreeMap<String, String>,
    #[serde(default)]
    pub dependencies: BTreeMap<String, Dependency>,
    #[serde(default)]
    trigger_dependencies: BTreeMap<String, Vec<Value>>,
    #[serde(default)]
    host_requirements: BTreeMap<String, Value>,
}

/// Where some content is: in an artifact, by its digest or right here.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct ContentRef {
    pub source: Option<String>,
    pub inline: Option<String>,
    pub digest: Option<String>,
}

impl LockedApp {
    /// Reads and checks what does not depend on a kind of trigger.
    pub fn parse(json: &[u8]) -> Result<Self, AppError> {
        let app: Self = serde_json::from_slice(json)?;
        if app.spin_lock_version > MAX_VERSION {
            return Err(AppError::Version(app.spin_lock_version));
        }
        requirements::check_must_understand(&app.must_understand)?;
        let mut ids = BTreeSet::new();
        for component in &app.components {
            if component.id.is_empty() {
                return Err(AppError::component("", "its id is empty"));
            }
            if !ids.insert(&component.id) {
                return Err(AppError::DuplicateComponent(component.id.clone()));
            }
        }
        Ok(app)
    }

    /// The app that a bare Wasm file is run as (`docs/contract/oci.md §2.3`).
    pub fn plain_wasm(name: &str, digest: &Digest) -> Self {
        let component = "http-trigger1-component";
        Self {
            spin_lock_version: 0,
            must_understand: Vec::new(),
            metadata: Map::from_iter([("name".into(), Value::from(name))]),
            host_requirements: BTreeMap::new(),
            variables: BTreeMap::new(),
            triggers: vec![Trigger {
                id: "http-trigger1".into(),
                kind: "http".into(),
                config: serde_json::json!({"component": component, "route": "/..."}),
                trigger_dependencies: BTreeMap::new(),
            }],
            components: vec![Component {
                id: component.into(),
                metadata: Map::new(),
                source: ContentRef {
                    digest: Some(digest.to_string()),
                    ..Default::default()
                },
                env: BTreeMap::new(),
                files: Vec::new(),
                config: BTreeMap::new(),
                dependencies: BTreeMap::new(),
                trigger_dependencies: BTreeMap::new(),
                host_requirements: BTreeMap::new(),
            }],
        }
    }

    /// The app's name; `""` when it has none.
    pub fn name(&self) -> &str {
        self.metadata
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
    }

    /// The app's version, free text.
    pub fn version(&self) -> Option<&str> {
        self.metadata.get("version").and_then(Value::as_str)
    }

    /// The app's global configuration for triggers of one kind (`docs/contract/locked-app.md §2`).
    pub fn trigger_settings(&self, kind: &str) -> Map<String, Value> {
        metadata::trigger_settings(&self.metadata, kind)
    }

    /// The triggers of one kind. None at all is an error that lists what there is.
    pub fn triggers_of<'a>(&'a self, kind: &'a str) -> Result<Vec<&'a Trigger>, AppError> {
        let triggers: Vec<_> = self
            .triggers
            .iter()
            .filter(|trigger| trigger.kind == kind)
            .collect();
        if triggers.is_empty() {
            let kinds: BTreeSet<_> = self.triggers.iter().map(|trigger| trigger.kind.clone()).collect();
            return Err(AppError::NoTrigger(kinds.into_iter().collect()));
        }
        Ok(triggers)
    }

    /// The component that a trigger names.
    pub fn component(&self, id: &str, trigger: &str) -> Result<&Component, AppError> {
        self.components
            .iter()
            .find(|component| component.id == id)
            .ok_or_else(|| AppError::NoSuchComponent {
                trigger: trigger.into(),
                component: id.into(),
            })
    }

    /// Refuses the app when it, or one of the components that are to run, needs what a trigger does not support.
    pub fn check_requirements<'a>(
        &self,
        components: impl IntoIterator<Item = &'a Component>,
        supported: &[&str],
    ) -> Result<(), AppError> {
        let own = std::iter::once(&self.host_requirements);
        let theirs = components
            .into_iter()
            .map(|component| &component.host_requirements);
        requirements::check(own.chain(theirs), supported)
    }
}

impl Trigger {
    /// As for a component: normally they have been moved there.
    pub fn check_dependencies(&self) -> Result<(), AppError> {
        composed(&self.trigger_dependencies, || {
            format!("the trigger `{}`", self.id)
        })
    }
}

fn composed(
    dependencies: &BTreeMap<String, Vec<Value>>,
    owner: impl FnOnce() -> String,
) -> Result<(), AppError> {
    match dependencies.keys().next() {
        None => Ok(()),
        Some(role) => Err(AppError::NotComposed {
            owner: owner(),
            role: role.clone(),
        }),
    }
}

impl Component {
    /// What the component may use.
    pub fn metadata(&self) -> Result<ComponentMetadata, AppError> {
        ComponentMetadata::read(&self.id, &self.metadata)
    }

    /// The files that the guest sees at `/`.
    pub fn files(&self) -> Result<Vec<FileMount>, AppError> {
        self.files.iter().map(|raw| raw.typed(&self.id)).collect()
    }

    /// The digest of the Wasm binary.
    pub fn wasm(&self) -> Result<Digest, AppError> {
        self.source.digest(&self.id)
    }

    /// Composed when the app was pushed: what is left of them can't be run (`docs/contract/oci.md §4`).
    pub fn check_trigger_dependencies(&self) -> Result<(), AppError> {
        composed(&self.trigger_dependencies, || {
            format!("the component `{}`", self.id)
        })
    }
}

impl ContentRef {
    pub(super) fn digest(&self, component: &str) -> Result<Digest, AppError> {
        match (&self.digest, &self.source) {
            (Some(digest), _) => {
                Digest::parse(digest).map_err(|error| AppError::component(component, error.to_string()))
            }
            (None, Some(source)) => Err(AppError::component(
                component,
                format!("its source `{source}` is outside the artifact: push the app to a registry"),
            )),
            (None, None) => Err(AppError::component(component, "its source has no digest")),
        }
    }
}

impl Dependency {
    /// The digest of the dependency's Wasm binary.
    pub fn wasm(&self, component: &str) -> Result<Digest, AppError> {
        self.source.digest(component)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn app(json: serde_json::Value) -> Result<LockedApp, AppError> {
        LockedApp::parse(json.to_string().as_bytes())
    }

    fn component(id: &str) -> serde_json::Value {
        serde_json::json!({"id": id, "source": {"content_type": "application/wasm", "digest": format!("sha256:{}", "1".repeat(64))}})
    }

    #[test]
    fn unknown_members_are_ignored() {
        let app = app(serde_json::json!({
            "spin_lock_version": 0, "new": 1, "triggers": [], "components": [component("a")]
        }));
        assert_eq!(app.unwrap().components[0].id, "a");
    }

    #[test]
    fn a_newer_version_is_refused() {
        let error =
            app(serde_json::json!({"spin_lock_version": 2, "triggers": [], "components": []})).unwrap_err();
        assert!(matches!(error, AppError::Version(2)));
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_refused() {
        let error = app(serde_json::json!({
            "spin_lock_version": 1, "must_understand": ["host_requirements", "magic"], "triggers": [], "components": []
        }));
        assert!(error.unwrap_err().to_string().contains("magic"));
    }

    #[test]
    fn two_components_of_one_id_are_refused() {
        let error = app(serde_json::json!({
            "spin_lock_version": 0, "triggers": [], "components": [component("a"), component("a")]
        }));
        assert!(matches!(error.unwrap_err(), AppError::DuplicateComponent(id) if id == "a"));
    }

    #[test]
    fn requirements_count_for_the_components_that_run() {
        let app = app(serde_json::json!({
            "spin_lock_version": 1,
            "triggers": [],
            "components": [
                {"id": "a", "source": {"digest": "d"}, "host_requirements": {"local_service_chaining": "required", "x": "optional"}},
                {"id": "b", "source": {"digest": "d"}, "host_requirements": {"y": "required", "z": 1}}
            ]
        }))
        .unwrap();
        app.check_requirements([&app.components[0]], &["local_service_chaining"])
            .unwrap();
        let error = app
            .check_requirements(&app.components, &["local_service_chaining"])
            .unwrap_err();
        assert!(
            error.to_string().ends_with("required by this application: y, z"),
            "{error}"
        );
    }

    #[test]
    fn a_source_outside_the_artifact_is_refused() {
        let app = app(serde_json::json!({
            "spin_lock_version": 0, "triggers": [],
            "components": [{"id": "a", "source": {"source": "file:///a.wasm"}}]
        }));
        let error = app.unwrap().components[0].wasm().unwrap_err().to_string();
        assert!(
            error.contains("file:///a.wasm") && error.contains("push"),
            "{error}"
        );
    }

    #[test]
    fn a_bare_wasm_file_is_an_app_with_one_route() {
        let app = LockedApp::plain_wasm("hello", &Digest::of(b""));
        assert_eq!(app.name(), "hello");
        let triggers = app.triggers_of("http").unwrap();
        assert_eq!(triggers[0].config["route"], "/...");
    }
}
