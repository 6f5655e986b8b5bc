//! Paths, and one configuration over another.

use std::path::{Path, PathBuf};

use super::{KeyValueStore, RuntimeConfig, SqliteDatabase, VariablesProvider};

impl RuntimeConfig {
    /// This app's own configuration over the daemon's: an app's label, table or value wins, its lists come first. `log_dir`
    /// stays the app's own: the daemon's is for all apps, and each has a directory below it.
    pub fn over(mut self, daemon: &RuntimeConfig) -> RuntimeConfig {
        for (label, store) in &daemon.key_value_stores {
            self.key_value_stores
                .entry(label.clone())
                .or_insert_with(|| store.clone());
        }
        for (label, database) in &daemon.sqlite_databases {
            self.sqlite_databases
                .entry(label.clone())
                .or_insert_with(|| database.clone());
        }
        self.variables_providers
            .extend(daemon.variables_providers.iter().cloned());
        self.client_tls.extend(daemon.client_tls.iter().cloned());
        let networking = &mut self.outbound_networking;
        // What the operator of the machine blocks, an app can't open.
        networking
            .block_networks
            .extend(daemon.outbound_networking.block_networks.iter().cloned());
        let or = |own: &mut Option<usize>, daemon: Option<usize>| *own = own.or(daemon);
        or(
            &mut networking.max_socket_connections,
            daemon.outbound_networking.max_socket_connections,
        );
        or(
            &mut networking.max_total_connections,
            daemon.outbound_networking.max_total_connections,
        );
        or(
            &mut self.outbound_redis.max_connections,
            daemon.outbound_redis.max_connections,
        );
        or(
            &mut self.outbound_pg.max_connections,
            daemon.outbound_pg.max_connections,
        );
        or(
            &mut self.outbound_mysql.max_connections,
            daemon.outbound_mysql.max_connections,
        );
        or(
            &mut self.outbound_mqtt.max_connections,
            daemon.outbound_mqtt.max_connections,
        );
        or(
            &mut self.outbound_mqtt.max_payload_size_bytes,
            daemon.outbound_mqtt.max_payload_size_bytes,
        );
        or(&mut self.max_instance_memory, daemon.max_instance_memory);
        self.outbound_http = self.outbound_http.or_else(|| daemon.outbound_http.clone());
        self.llm_compute = self.llm_compute.or_else(|| daemon.llm_compute.clone());
        self.state_dir = self.state_dir.or_else(|| daemon.state_dir.clone());
        self
    }

    /// Makes relative paths of stores and databases absolute: `base` is the directory of the file that says them, or an
    /// app's state directory.
    pub fn resolve_store_paths(&mut self, base: &Path) {
        for store in self.key_value_stores.values_mut() {
            if let KeyValueStore::Spin { path: Some(path) } = store {
                *path = base.join(&*path);
            }
        }
        for database in self.sqlite_databases.values_mut() {
            if let SqliteDatabase::Spin { path: Some(path), .. } = database {
                *path = base.join(&*path);
            }
        }
    }

    /// Makes the other relative paths absolute: what the operator wrote, and no app does.
    pub fn resolve_operator_paths(&mut self, base: &Path) {
        let join = |path: &mut Option<PathBuf>| {
            if let Some(path) = path {
                *path = base.join(&*path);
            }
        };
        for provider in &mut self.variables_providers {
            if let VariablesProvider::Env { dotenv_path, .. } = provider {
                join(dotenv_path);
            }
        }
        for tls in &mut self.client_tls {
            join(&mut tls.ca_roots_file);
            if let Some((certificate, key)) = &mut tls.client_certificate {
                *certificate = base.join(&*certificate);
                *key = base.join(&*key);
            }
        }
        join(&mut self.state_dir);
        join(&mut self.log_dir);
    }
}
