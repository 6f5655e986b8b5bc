//! Which labels a component may open, and what is behind each.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use super::CallError;
use super::redis::Servers;
use super::sqlite::Databases;
use super::store::Store;
use crate::host::{ComponentContext, InterfaceError};
use crate::runtime_config::KeyValueStore;

/// The label that has a store without being defined.
const DEFAULT_LABEL: &str = "default";
/// The file of that store in the state directory: `spin up`'s name.
const DEFAULT_FILE: &str = "sqlite_key_value.db";
/// Denials that are remembered, so that each is logged once: a guest may make up any number of labels.
const MAX_REMEMBERED_DENIALS: usize = 256;

/// Open files and connections, shared by all apps of the process.
#[derive(Default)]
pub(in crate::host) struct KeyValueBackends {
    databases: Databases,
    servers: Servers,
    #[cfg(feature = "aws")]
    tables: super::dynamo::Tables,
}

/// The stores of one component.
pub(in crate::host) struct KeyValue {
    app: Arc<str>,
    component: String,
    stores: BTreeMap<String, Arc<dyn Store>>,
    denied: Mutex<HashSet<String>>,
}

impl KeyValue {
    /// Opens no file and no connection: that is done at the first call. An error is a label without a definition, or
    /// a definition that can never work.
    pub(in crate::host) async fn of(
        context: &ComponentContext<'_>,
        backends: &KeyValueBackends,
    ) -> Result<Self, InterfaceError> {
        let component = &context.component.id;
        let unknown: Vec<_> = context
            .metadata
            .key_value_stores
            .iter()
            .filter(|label| *label != DEFAULT_LABEL && !context.config.key_value_stores.contains_key(*label))
            .collect();
        if !unknown.is_empty() {
            return Err(InterfaceError::new(component, unknown_labels(&unknown)));
        }
        let mut stores = BTreeMap::new();
        for label in &context.metadata.key_value_stores {
            stores.insert(label.clone(), store(context, backends, label)?);
        }
        Ok(Self {
            app: context.app.clone(),
            component: component.clone(),
            stores,
            denied: Mutex::default(),
        })
    }

    pub(super) fn open(&self, label: &str) -> Result<Arc<dyn Store>, CallError> {
        match self.stores.get(label) {
            Some(store) => Ok(store.clone()),
            None => {
                self.deny(label);
                Err(CallError::AccessDenied)
            }
        }
    }

    fn deny(&self, label: &str) {
        // No panic can happen while it is held.
        let mut denied = self.denied.lock().unwrap_or_else(PoisonError::into_inner);
        if denied.len() < MAX_REMEMBERED_DENIALS && denied.insert(label.into()) {
            tracing::warn!(
                app = %self.app,
                component = %self.component,
                add = format!("key_value_stores = [{label:?}]"),
                "a key-value store that the component does not list was denied"
            );
        }
    }
}

fn unknown_labels(labels: &[&String]) -> String {
    let names: Vec<_> = labels.iter().map(|label| format!("{label:?}")).collect();
    let tables: Vec<_> = labels
        .iter()
        .map(|label| format!("`[key_value_store.{}]`", table_key(label)))
        .collect();
    format!(
        "unknown key_value_stores label {}: add {} to the runtime configuration, with a `type`",
        names.join(", "),
        tables.join(" and ")
    )
}

/// A label as TOML writes it in the name of a table.
fn table_key(label: &str) -> String {
    let bare = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_');
    if !label.is_empty() && label.chars().all(bare) {
        label.into()
    } else {
        format!("{label:?}")
    }
}

fn store(
    context: &ComponentContext<'_>,
    backends: &KeyValueBackends,
    label: &str,
) -> Result<Arc<dyn Store>, InterfaceError> {
    let error = |message: String| InterfaceError::new(&context.component.id, message);
    let file = |path: &Path| {
        let store = backends.databases.file(path, label);
        Arc::new(store.within(path, context.state_quota))
    };
    Ok(match context.config.key_value_stores.get(label) {
        // `of` let no other label pass.
        None => file(&context.state_dir.join(DEFAULT_FILE)),
        Some(KeyValueStore::Spin { path: Some(path) }) => file(path),
        Some(KeyValueStore::Spin { path: None }) => Arc::new(backends.databases.memory(context.app, label)),
        Some(KeyValueStore::Redis { url }) => {
            let store = backends.servers.store(url, context.app, label);
            // Its own text is not shown: it may hold a part of the URL.
            let message = |_| {
                error(format!(
                    "the `url` of the key-value store {label:?} is not one of Redis: write it as redis://host:6379 or rediss://user:password@host:6379/0"
                ))
            };
            Arc::new(store.map_err(message)?)
        }
        #[cfg(feature = "aws")]
        Some(definition @ KeyValueStore::AwsDynamo { .. }) => {
            let store = backends.tables.store(definition, context.app, label);
            let message = |reason| error(format!("the key-value store {label:?} is incomplete: {reason}"));
            Arc::new(store.map_err(message)?)
        }
        #[cfg(not(feature = "aws"))]
        Some(KeyValueStore::AwsDynamo { .. }) => {
            return Err(error(not_built(label)));
        }
    })
}

/// What a build without the feature says; tests read it in every build.
#[cfg(any(test, not(feature = "aws")))]
fn not_built(label: &str) -> String {
    format!(
        "the key-value store {label:?} has the type `aws_dynamo`, which this build does not have: build it with `--features aws`, or give the label another type"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_of_another_build_names_the_label_and_the_feature() {
        let text = not_built("cloud");
        assert!(
            text.contains("\"cloud\"") && text.contains("`--features aws`"),
            "{text}"
        );
    }
}
