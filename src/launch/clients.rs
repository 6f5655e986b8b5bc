//! The HTTP clients of one app: the process's own where nothing is set, its own where something is
//! (`docs/contract/runtime-config.md §7`).

use std::sync::Arc;

use wasmtime_wasi_http::WasiBody;

use crate::net::{
    ClientSettings, HttpClient, HttpClients, Outbound, TlsError, TlsSettings, tls_client_config,
};
use crate::runtime_config::{ClientTls, RuntimeConfig};

/// What the components of one version of an app choose from.
pub(super) struct AppClients {
    default: HttpClient<WasiBody>,
    /// The components that each is for, the hosts, and the client.
    particular: Vec<(Vec<String>, Vec<String>, HttpClient<WasiBody>)>,
}

impl AppClients {
    /// Reads the certificates. `shared` is the process's client.
    pub(super) async fn new(
        shared: &HttpClient<WasiBody>,
        config: &RuntimeConfig,
        outbound: &Arc<Outbound>,
    ) -> Result<Self, TlsError> {
        let pooling = config
            .outbound_http
            .as_ref()
            .is_none_or(|http| http.connection_pooling);
        let client = |tls| {
            HttpClient::new(ClientSettings {
                outbound: outbound.clone(),
                tls,
                pooling,
            })
        };
        let default = match pooling && outbound.is_unrestricted() {
            true => shared.clone(),
            false => client(tls_client_config()),
        };
        let mut particular = Vec::with_capacity(config.client_tls.len());
        for entry in &config.client_tls {
            let settings = settings(entry);
            let read = tokio::task::spawn_blocking(move || settings.client_config()).await;
            // A panic there is one here.
            let tls = read.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))?;
            particular.push((
                entry.component_ids.clone(),
                entry.hosts.clone(),
                client(Arc::new(tls)),
            ));
        }
        Ok(Self { default, particular })
    }

    /// Those of one component.
    pub(super) fn of(&self, component: &str) -> HttpClients<WasiBody> {
        let mut clients = HttpClients::new(self.default.clone());
        for (components, hosts, client) in &self.particular {
            if components.iter().any(|id| id == component) {
                clients.add(hosts.clone(), client.clone());
            }
        }
        clients
    }
}

/// Both roots as they are set; one that is set excludes the other; where none is, the system's, unless a file is given.
pub(super) fn settings(entry: &ClientTls) -> TlsSettings {
    let (platform_roots, webpki_roots) = match (entry.ca_use_platform_roots, entry.ca_use_webpki_roots) {
        (None, None) => (entry.ca_roots_file.is_none(), false),
        (platform, webpki) => (platform.unwrap_or(false), webpki.unwrap_or(false)),
    };
    TlsSettings {
        platform_roots,
        webpki_roots,
        roots_file: entry.ca_roots_file.clone(),
        client_certificate: entry.client_certificate.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_roots_are_those_of_an_entry_that_names_none() {
        let roots = |platform, webpki, file: Option<&str>| {
            let settings = settings(&ClientTls {
                component_ids: vec!["a".into()],
                hosts: vec!["h".into()],
                ca_use_platform_roots: platform,
                ca_use_webpki_roots: webpki,
                ca_roots_file: file.map(Into::into),
                client_certificate: None,
            });
            (settings.platform_roots, settings.webpki_roots)
        };
        assert_eq!(roots(None, None, None), (true, false));
        assert_eq!(roots(None, None, Some("roots.pem")), (false, false));
        assert_eq!(roots(None, Some(true), None), (false, true));
        assert_eq!(roots(Some(false), None, None), (false, false));
        assert_eq!(roots(Some(true), Some(true), Some("roots.pem")), (true, true));
    }
}
