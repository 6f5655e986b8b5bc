//! How the process's apps are met by TLS: what they share of it, and what each app's file says.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use super::LaunchFailure;
use crate::control::{ResolvedAddress, resolve};
use crate::manifest::{Address, AppSpec};
use crate::net::{CertificateFiles, KeyPairFiles};
use crate::trigger::http::ListenAddress;
use crate::trigger::http::tls::{Acme, AppTls, EndpointTls, TlsError};

/// What apps share of TLS. A cheap handle.
#[derive(Clone)]
pub struct TlsParts {
    files: CertificateFiles,
    acme: Acme,
    /// The daemon's certificates, by address.
    addresses: Arc<HashMap<Address, KeyPairFiles>>,
    /// What is used of them: the apps of one address share its sessions.
    used: Arc<Mutex<HashMap<Address, Weak<AppTls>>>>,
}

impl TlsParts {
    /// With the certificates of the daemon's options.
    pub fn new(files: CertificateFiles, acme: Acme, addresses: HashMap<Address, KeyPairFiles>) -> Self {
        Self {
            files,
            acme,
            addresses: Arc::new(addresses),
            used: Arc::default(),
        }
    }

    /// How an app is met; `None`: by plain http. Reads files, and touches no port.
    pub(super) async fn prepare(&self, spec: &AppSpec) -> Result<Option<EndpointTls>, LaunchFailure> {
        let redirect_from = match spec.tls.as_ref().and_then(|tls| tls.redirect_from.as_ref()) {
            Some(address) if self.of_daemon(address).is_some() => {
                return Err(LaunchFailure::RedirectFromTls(address.clone()));
            }
            Some(address) => listen_address(resolve(address).await.map_err(LaunchFailure::Redirect)?),
            None => None,
        };
        if spec.tls.is_none() && self.of_daemon(&spec.address).is_none() {
            return Ok(None);
        }
        let (shared, spec) = (self.clone(), spec.clone());
        let read = tokio::task::spawn_blocking(move || shared.read(&spec, redirect_from));
        match read.await {
            Ok(endpoint) => Ok(endpoint?),
            // It panicked, and goes on doing so here.
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }

    fn read(
        &self,
        spec: &AppSpec,
        redirect_from: Option<ListenAddress>,
    ) -> Result<Option<EndpointTls>, TlsError> {
        let of_daemon = self.of_daemon(&spec.address);
        let address = of_daemon.map(|(at, pair)| self.address(at, pair)).transpose()?;
        let own = match &spec.tls {
            Some(tls) => Some(AppTls::of_app(
                &tls.server,
                &spec.site.hosts,
                &self.files,
                &self.acme,
            )?),
            None => None,
        };
        // Whoever has none of its own is met as its address is.
        Ok(own.or(address.clone()).map(|app| EndpointTls {
            app,
            address,
            redirect_from,
        }))
    }

    /// The daemon's certificate for an address: its own, or that of one that can't be open beside it. Whoever asks for TLS at
    /// `0.0.0.0:443` means `[::]:443` too.
    fn of_daemon(&self, address: &Address) -> Option<(&Address, &KeyPairFiles)> {
        self.addresses.get_key_value(address).or_else(|| {
            let beside = self.addresses.iter().filter(|(at, _)| at.conflicts_with(address));
            // The same one each time.
            beside.min_by_key(|(at, _)| at.to_string())
        })
    }

    fn address(&self, address: &Address, pair: &KeyPairFiles) -> Result<Arc<AppTls>, TlsError> {
        // Nothing panics while it is held, but for a defect in a parser.
        let mut used = self.used.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tls) = used.get(address).and_then(Weak::upgrade) {
            return Ok(tls);
        }
        let tls = AppTls::of_address(pair, &self.files)?;
        used.insert(address.clone(), Arc::downgrade(&tls));
        Ok(tls)
    }
}

fn listen_address(address: ResolvedAddress) -> Option<ListenAddress> {
    match address {
        ResolvedAddress::Tcp(address) => Some(ListenAddress::Tcp(address)),
        ResolvedAddress::Unix(path) => Some(ListenAddress::Unix(path)),
        ResolvedAddress::Absent => None,
    }
}
