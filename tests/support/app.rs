//! Spin apps to be packed, as their authors would write them.

use serde_json::{Map, Value, json};

/// One component, and the content that it needs.
pub struct Component {
    pub id: String,
    pub wasm: Vec<u8>,
    pub files: Vec<(String, Vec<u8>)>,
    pub dependencies: Vec<(String, Vec<u8>)>,
    /// Members of the locked component besides `id`, `source` and `files`.
    pub members: Map<String, Value>,
}

impl Component {
    pub fn new(id: &str, wasm: Vec<u8>) -> Self {
        Self {
            id: id.into(),
            wasm,
            files: Vec::new(),
            dependencies: Vec::new(),
            members: Map::new(),
        }
    }

    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.object("env").insert(name.into(), value.into());
        self
    }

    pub fn file(mut self, path: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.push((path.into(), content.into()));
        self
    }

    /// A component that answers the imports of that name.
    pub fn dependency(mut self, name: &str, wasm: Vec<u8>) -> Self {
        self.dependencies.push((name.into(), wasm));
        self
    }

    /// An entry of `allowed_outbound_hosts`.
    pub fn allow(mut self, host: &str) -> Self {
        if host.contains(".spin.internal") {
            self.object("host_requirements")
                .insert("local_service_chaining".into(), "required".into());
        }
        self.grant("allowed_outbound_hosts", host)
    }

    /// An entry of one of the metadata's lists: `key_value_stores`, `databases`, `ai_models`.
    pub fn grant(mut self, list: &str, entry: &str) -> Self {
        let entries = self.object("metadata").entry(list).or_insert_with(|| json!([]));
        entries.as_array_mut().expect("a list").push(entry.into());
        self
    }

    /// A configuration key, whose value is a template.
    pub fn config(mut self, key: &str, template: &str) -> Self {
        self.object("config").insert(key.into(), template.into());
        self
    }

    fn object(&mut self, member: &str) -> &mut Map<String, Value> {
        let value = self.members.entry(member).or_insert_with(|| json!({}));
        value.as_object_mut().expect("an object")
    }
}

/// An app: components, and the triggers before them.
pub struct App {
    pub name: String,
    pub version: String,
    pub components: Vec<Component>,
    /// Of each trigger, its type and `trigger_config`.
    pub triggers: Vec<(String, Value)>,
    /// What all triggers of a type share, by type: the metadata's `triggers`.
    pub trigger_metadata: Map<String, Value>,
    pub variables: Map<String, Value>,
}

impl App {
    pub fn new(name: &str) -> Self {
        Self {
            name: name.into(),
            version: "1.0.0".into(),
            components: Vec::new(),
            triggers: Vec::new(),
            trigger_metadata: Map::new(),
            variables: Map::new(),
        }
    }

    /// The usual test app: one component behind every route, which answers with `version` on `/version`.
    pub fn of(guest: &str, version: &str) -> Self {
        let component = Component::new(guest, super::guests::guest(guest)).env("VERSION", version);
        Self::new(guest)
            .version(version)
            .component(component)
            .route("/...", guest)
    }

    pub fn version(mut self, version: &str) -> Self {
        self.version = version.into();
        self
    }

    pub fn component(mut self, component: Component) -> Self {
        self.components.push(component);
        self
    }

    pub fn route(self, route: &str, component: &str) -> Self {
        self.trigger(json!({"component": component, "route": route}))
    }

    /// Reachable by other components only.
    pub fn private(self, component: &str) -> Self {
        self.trigger(json!({"component": component, "route": {"private": true}}))
    }

    pub fn static_response(self, route: &str, response: Value) -> Self {
        self.trigger(json!({"route": route, "static_response": response}))
    }

    /// Any `trigger_config` of an HTTP trigger, valid or not.
    pub fn trigger(self, config: Value) -> Self {
        self.trigger_of("http", config)
    }

    /// A trigger of any type.
    pub fn trigger_of(mut self, kind: &str, config: Value) -> Self {
        self.triggers.push((kind.into(), config));
        self
    }

    /// What all triggers of that type share.
    pub fn triggers_share(mut self, kind: &str, metadata: Value) -> Self {
        self.trigger_metadata.insert(kind.into(), metadata);
        self
    }

    /// An application variable: `{"default": …}`, or `{}` for a required one.
    pub fn variable(mut self, name: &str, variable: Value) -> Self {
        self.variables.insert(name.into(), variable);
        self
    }
}
