//! What launches apps, built once.

use std::sync::Arc;

use anyhow::{Context, Result};

use super::{Directories, Settings};
use crate::cli::Bars;
use crate::host::{self, Host};
use crate::launch::{AppLauncher, Kinds, Parts, Pins, RecentApps, TlsParts};
use crate::loader::{CompileCounts, Loader, Residents};
use crate::logs::GuestLogs;
use crate::manifest::Limits;
use crate::metrics::Apps;
use crate::net::{CertificateFiles, HttpClient};
use crate::oci::{FetchCounts, LogProgress, Progress, Puller, PullerConfig, Resolutions, Store};
use crate::runtime::Runtime;
use crate::runtime_config::RuntimeConfig;
use crate::sandbox::Writable;
use crate::tasks;
use crate::telemetry;
use crate::trigger::http::Listeners;
use crate::trigger::http::tls::{Acme, AcmeSettings};

/// What the launcher shares with others.
pub(super) struct Built {
    pub(super) acme: Acme,
    pub(super) listeners: Listeners,
    pub(super) writable: Writable,
    pub(super) logs: GuestLogs,
    pub(super) files: CertificateFiles,
    /// The daemon's, which goes below those of apps.
    pub(super) runtime_config: RuntimeConfig,
}

pub(super) fn acme(settings: &Settings, directories: &Directories) -> Result<Acme> {
    Ok(Acme::new(AcmeSettings {
        directory: settings.tls.acme_directory.clone(),
        contact: settings.tls.acme_contact.clone(),
        ca: settings.tls.acme_ca.clone(),
        data_dir: directories.data.join("acme"),
    })?)
}

/// What launches apps, and what it counts.
pub(super) struct Launching {
    pub(super) launcher: AppLauncher,
    pub(super) apps: Apps,
    pub(super) fetches: FetchCounts,
    pub(super) compiles: CompileCounts,
}

pub(super) fn launcher(
    settings: &Settings,
    directories: &Directories,
    host: Arc<Host>,
    built: Built,
) -> Result<Launching> {
    let Built {
        acme,
        listeners,
        writable,
        logs,
        files,
        runtime_config,
    } = built;
    let store = Store::open(&directories.cache)?;
    let progress: Arc<dyn Progress> = match telemetry::bars() {
        Some(bars) => Arc::new(Bars::new(bars)),
        None => Arc::new(LogProgress),
    };
    let config = PullerConfig {
        insecure_registries: settings.insecure_registries.clone(),
        registry_ca: settings.registry_ca.clone(),
        policy: settings.policy.clone(),
        progress,
        ..PullerConfig::default()
    };
    let puller = Puller::new(store.clone(), config)?;
    let references = directories.data.join("references");
    let resolutions = Resolutions::open(&references)
        .with_context(|| format!("can't create the directory {}", references.display()))?;
    let runtime = Runtime::new(host::link, host::link_concurrent, host::is_concurrent)?;
    let loader = Loader::new(&runtime, store.clone())?;
    tasks::spawn("idle code", loader.residents().clone().keep_tidy());
    let resting = Residents::any_number();
    tasks::spawn("idle apps", resting.clone().keep_tidy());
    let pins = Pins::new(store, directories.data.display().to_string());
    pins.keep_store_below(settings.cache_size);
    let (apps, fetches, compiles) = (
        Apps::default(),
        puller.counts().clone(),
        loader.compiles().clone(),
    );
    let launcher = AppLauncher::new(Parts {
        puller,
        resolutions,
        loader,
        runtime,
        host,
        client: HttpClient::with_system_roots(),
        runtime_config,
        listeners,
        writable,
        tls: TlsParts::new(files, acme, settings.tls.addresses.clone()),
        kinds: Kinds::default(),
        logs,
        state_root: directories.state_root.clone(),
        shared_variables: settings.shared_variables,
        pins,
        limits: settings.limits.clone().over(&Limits::built_in()),
        metrics: apps.clone(),
        resting,
        recent: RecentApps::default(),
    });
    Ok(Launching {
        launcher,
        apps,
        fetches,
        compiles,
    })
}
