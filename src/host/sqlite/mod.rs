//! SQL databases: `fermyon:spin/sqlite`, `fermyon:spin/sqlite@2.0.0`, `spin:sqlite@3.1.0`
//! (`docs/contract/host-interfaces.md §5.3`, `docs/contract/runtime-config.md §4`).

mod connection;
mod convert;
mod instance;
mod libsql;
mod local;
mod stream;
#[cfg(test)]
mod testing;
mod v1;
mod v2;
mod v3;

use std::collections::{BTreeMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use wasmtime::component::{HasSelf, Linker};

use super::context::ComponentContext;
use super::error::InterfaceError;
use crate::runtime::HostState;
use crate::runtime_config::SqliteDatabase;
use connection::Database;
use libsql::LibsqlDatabase;
use local::{FileQueues, LocalDatabase};

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "sqlite",
        imports: { default: async | trappable },
        with: {
            "fermyon:spin/sqlite@2.0.0.connection": super::instance::OpenConnection,
            "spin:sqlite/sqlite.connection": super::instance::OpenConnection,
        },
    });
}

/// Connections that one instance may have open.
const MAX_CONNECTIONS: usize = 256;
/// What a guest is told about one more.
const TOO_MANY: &str = "too many connections opened";
/// The label that needs no definition.
const DEFAULT_LABEL: &str = "default";
/// Its file in the state directory, which `spin up` finds there as well.
const DEFAULT_FILE: &str = "sqlite_db.db";
/// Denials that are remembered, so that each is logged once: a guest may make up any number of labels.
const MAX_REMEMBERED_DENIALS: usize = 256;

/// What the databases of all apps share.
#[derive(Default)]
pub(super) struct SqliteBackends {
    /// For libSQL servers elsewhere and on this machine; made when a component first needs them.
    remote: OnceLock<reqwest::Client>,
    loopback: OnceLock<reqwest::Client>,
    queues: FileQueues,
}

/// The databases that one component may open.
pub(super) struct Sqlite {
    app: Arc<str>,
    component: String,
    databases: BTreeMap<String, Box<dyn Database>>,
    denied: Mutex<HashSet<String>>,
}

impl Sqlite {
    /// Opens nothing.
    ///
    /// # Errors
    /// A label of the component that nothing is behind.
    pub(super) async fn of(
        context: &ComponentContext<'_>,
        backends: &SqliteBackends,
    ) -> Result<Self, InterfaceError> {
        let component = &context.component.id;
        let mut databases = BTreeMap::new();
        for label in &context.metadata.databases {
            let database = match context.config.sqlite_databases.get(label) {
                Some(defined) => backend(defined, context, backends)?,
                None if label == DEFAULT_LABEL => {
                    let file = context.state_dir.join(DEFAULT_FILE);
                    let database = LocalDatabase::new(Some(file), false, &backends.queues);
                    Box::new(database.within(context.state_quota)) as Box<dyn Database>
                }
                None => return Err(unknown(label, component)),
            };
            databases.insert(label.clone(), database);
        }
        Ok(Self {
            app: context.app.clone(),
            component: component.to_string(),
            databases,
            denied: Mutex::default(),
        })
    }

    /// None, and a line in the log, for a label that the component does not list.
    fn database(&self, label: &str) -> Option<&dyn Database> {
        match self.databases.get(label) {
            Some(database) => Some(&**database),
            None => {
                self.deny(label);
                None
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
                add = format!("sqlite_databases = [{label:?}]"),
                "a SQLite database that the component does not list was denied"
            );
        }
    }
}

fn backend(
    defined: &SqliteDatabase,
    context: &ComponentContext<'_>,
    backends: &SqliteBackends,
) -> Result<Box<dyn Database>, InterfaceError> {
    let component = &context.component.id;
    Ok(match defined {
        SqliteDatabase::Spin {
            path,
            allow_attach_file,
        } => {
            let database = LocalDatabase::new(path.clone(), *allow_attach_file, &backends.queues);
            Box::new(database.within(context.state_quota))
        }
        SqliteDatabase::Libsql { url, token } => {
            let invalid = |reason| InterfaceError::new(component, reason);
            let url = libsql::address(url).map_err(invalid)?;
            let client = backends.client(component, libsql::is_loopback(&url))?;
            Box::new(LibsqlDatabase::new(client, &url, token).map_err(invalid)?)
        }
    })
}

fn unknown(label: &str, component: &str) -> InterfaceError {
    InterfaceError::new(
        component,
        format!(
            "unknown sqlite_databases label \"{label}\"; define it as [sqlite_database.{label}] in the runtime configuration"
        ),
    )
}

impl SqliteBackends {
    fn client(&self, component: &str, loopback: bool) -> Result<reqwest::Client, InterfaceError> {
        let kept = if loopback { &self.loopback } else { &self.remote };
        if let Some(client) = kept.get() {
            return Ok(client.clone());
        }
        let client = libsql::client(loopback).map_err(|error| {
            let message = "no client for libSQL can be made; see the environment's proxy settings";
            InterfaceError::new(component, message).with_source(error)
        })?;
        Ok(kept.get_or_init(|| client).clone())
    }
}

/// Defines the versions that have nothing asynchronous.
pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::sqlite::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::sqlite::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

/// What needs the component model's concurrency.
pub(super) fn add_concurrent_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::spin::sqlite::sqlite::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

#[cfg(test)]
mod tests;
