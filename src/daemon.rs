//! The composition root: builds the long-lived parts once and wires them.

mod begin;
mod rules;
mod upgrade;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sha2::{Digest, Sha256};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use self::begin::{Begun, begin};
use self::upgrade::{Upgrade, take_over};
use crate::admin;
use crate::cli::Bars;
use crate::control::{self, Status, Supervisor, SupervisorSettings, WatchOptions};
use crate::host::{self, Host};
use crate::launch::{AppLauncher, Kinds, Parts, Pins, TlsParts};
use crate::loader::{CompileCounts, Loader};
use crate::logs::{GuestLogSettings, GuestLogs};
use crate::manifest::{Address, Limits};
use crate::metrics::Apps;
use crate::net::{CertificateFiles, HttpClient, KeyPairFiles};
use crate::oci::{FetchCounts, LogProgress, Policy, Progress, Puller, PullerConfig, Resolutions, Store};
use crate::otlp::{DaemonTelemetry, Exporter};
use crate::runtime::Runtime;
use crate::runtime_config::RuntimeConfig;
use crate::sandbox::{SandboxMode, Writable};
use crate::service::{self, ServiceDirectories, ServiceManager};
use crate::tasks::{self, Ending};
use crate::telemetry::{self, LogSettings};
use crate::trigger::http::tls::{Acme, AcmeSettings};
use crate::trigger::http::{
    AccessLog, AccessLogSettings, AccessLogTarget, HttpSettings, Inherited, Listeners,
};

/// The name of this program's directories among those of others.
const PROGRAM: &str = "lepton";
/// Bytes of the source path's hash that name its directory below the data directory.
const SOURCE_NAME_BYTES: usize = 8;

/// Apps that hold threads long take turns on all but one.
const MIN_THREADS: usize = 2;
/// How long telemetry may take to be sent at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

/// Everything the command line says.
#[derive(Debug)]
pub struct Settings {
    pub source: Source,
    /// The file that options come from, besides the command line and the environment.
    pub config: Option<PathBuf>,
    pub state_root: Option<PathBuf>,
    pub cache_dir: Option<PathBuf>,
    /// Bytes.
    pub cache_size: u64,
    pub data_dir: Option<PathBuf>,
    pub drain_timeout: Duration,
    /// How long balancers have to see that the process will end.
    pub lame_duck: Duration,
    pub registry_ca: Vec<PathBuf>,
    pub insecure_registries: Vec<String>,
    /// What may run.
    pub policy: Policy,
    pub shared_variables: bool,
    /// For every app.
    pub runtime_config: Option<PathBuf>,
    /// For every app.
    pub limits: Limits,
    pub socket: Option<PathBuf>,
    /// Where others than the daemon's user may ask.
    pub admin_address: Option<admin::AddressSettings>,
    pub sandbox: SandboxMode,
    /// Where the process may write, besides its own directories.
    pub allow_write: Vec<PathBuf>,
    /// How long the new process of an upgrade may take until it is ready.
    pub upgrade_timeout: Duration,
    /// For every listener.
    pub http: HttpSettings,
    pub access_log: Option<AccessLogSettings>,
    pub guest_log: GuestLogSettings,
    pub log: LogSettings,
    pub tls: TlsOptions,
}

/// What the command line says of TLS.
#[derive(Debug)]
pub struct TlsOptions {
    /// Certificates for clients of apps that bring none of their own, by address.
    pub addresses: HashMap<Address, KeyPairFiles>,
    /// Where certificates are ordered; `None`: at Let's Encrypt.
    pub acme_directory: Option<String>,
    /// Whom the authority may write to, as URLs.
    pub acme_contact: Vec<String>,
    /// Authorities to trust when certificates are ordered, besides the system's.
    pub acme_ca: Option<PathBuf>,
}

/// Where the desired state comes from.
#[derive(Debug)]
pub enum Source {
    /// Every `*.json` in it is an app.
    Directory {
        path: PathBuf,
        rescan_interval: Duration,
    },
    /// A fixed list.
    List(PathBuf),
}

impl Source {
    fn path(&self) -> &Path {
        match self {
            Self::Directory { path, .. } | Self::List(path) => path,
        }
    }
}

/// Where what outlives the process is kept.
struct Directories {
    cache: PathBuf,
    /// Where relative `state_dir`s are.
    state_root: PathBuf,
    /// The admin socket, and the one of the service's runtime directory, if there is that.
    socket: PathBuf,
    service_socket: Option<PathBuf>,
    /// This daemon's own, below the data directory: daemons of several sources may share that.
    data: PathBuf,
}

/// Runs until a signal; gives the exit code.
pub fn main(settings: Settings) -> ExitCode {
    // The only provider of the process: without it, the first TLS connection would have to guess.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let begun = match begin(&settings) {
        Ok(begun) => begun,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the daemon can't run");
            return ExitCode::FAILURE;
        }
    };
    let threads =
        std::thread::available_parallelism().map_or(MIN_THREADS, |cores| cores.get().max(MIN_THREADS));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(threads)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "the async runtime can't be started");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(settings, begun)) {
        Ok(code) => {
            // A second signal left tasks that nobody waits for.
            runtime.shutdown_background();
            code
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the daemon can't run");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: Settings, begun: Begun) -> Result<ExitCode> {
    let Begun {
        directories,
        lock,
        inherited,
        admin: admin_sockets,
        writable,
        program,
        old,
    } = begun;
    let source = settings.source.path();
    raise_descriptor_limit();
    let telemetry = Exporter::start();
    let own_telemetry = telemetry.as_ref().map(DaemonTelemetry::start);
    let host = Arc::new(Host::new(telemetry.clone()));
    let ending = Ending::new(!settings.lame_duck.is_zero());
    let logs = Logs {
        access: settings.access_log.as_ref().map(open_access_log).transpose()?,
        guests: GuestLogs::start(settings.guest_log).context("the log files of guests can't be written")?,
    };
    let acme = acme(&settings, &directories)?;
    let listeners = Listeners::new(
        settings.http.clone(),
        logs.access.clone(),
        &acme,
        inherited.clone(),
        &ending,
    );
    let built = Built {
        acme,
        listeners: listeners.clone(),
        writable: writable.clone(),
        logs: logs.guests.clone(),
        files: CertificateFiles::default(),
    };
    let files = built.files.clone();
    let Launching {
        launcher,
        apps,
        fetches,
        compiles,
    } = launcher(&settings, &directories, host, built)?;

    let rescan = Arc::new(Notify::new());
    let updates = match &settings.source {
        Source::Directory {
            path,
            rescan_interval,
        } => {
            let options = WatchOptions {
                rescan_interval: *rescan_interval,
                ..WatchOptions::default()
            };
            control::watch(path, options, rescan.clone())?
        }
        Source::List(file) => control::watch_list(file, rescan.clone())?,
    };
    let last_good_dir = directories.data.join("apps");
    let history_dir = directories.data.join("history");
    let pins_file = directories.data.join("pins.json");
    let supervisor_settings = SupervisorSettings {
        drain_timeout: settings.drain_timeout,
        last_good_dir,
        history_dir,
        pins_file,
        tls_addresses: settings.tls.addresses.keys().cloned().collect(),
    };
    let (supervisor, status) = Supervisor::start(launcher, supervisor_settings, updates);
    if let Some(old) = old {
        take_over(
            old,
            &supervisor,
            status.clone(),
            &inherited,
            settings.upgrade_timeout,
        )
        .await?;
    }
    let manager = Arc::new(ServiceManager::default());
    let sources = admin::Sources {
        status: status.clone(),
        supervisor: supervisor.clone(),
        lame_duck: ending.lame_duck().clone(),
        apps,
        fetches,
        compiles,
        guests: logs.guests.clone(),
    };
    let admin = admin::serve(
        sources,
        directories.socket.clone(),
        settings.admin_address.clone(),
        admin_sockets,
        &files,
    )
    .await?;
    tasks::spawn(
        "signals",
        listen_to_signals(
            ending.clone(),
            rescan,
            logs.clone(),
            (manager.clone(), status.clone()),
        )?,
    );
    // Listened to before it is acted on: until then, the signal would end the process.
    let asked_to_upgrade = signal(SignalKind::user_defined2())?;
    let config = settings.config.as_ref().map(|file| file.display());
    tracing::info!(source = %source.display(), cache = %directories.cache.display(), config = config.map(tracing::field::display), "ready");
    tokio::select! {
        () = service::until_ready(&supervisor, status.clone()) => {
            report_unused(&inherited);
            manager.ready(&status.borrow());
            service::accompany(&manager, status, supervisor.clone());
        }
        () = ending.lame_duck().cancelled() => {}
    }

    let upgrade = Upgrade {
        program,
        lock: Arc::new(lock),
        listeners,
        writable,
        patience: settings.upgrade_timeout,
    };
    let admin = upgrade
        .when_asked(asked_to_upgrade, admin, &manager, &ending)
        .await;
    manager.stopping();
    if !ending.drain().is_cancelled() {
        let lasts = humantime::format_duration(settings.lame_duck);
        tracing::info!(%lasts, "health checks fail from now on; another signal skips the wait");
        // Nothing else begins the drain but a signal: then the wait is over.
        let _ = tokio::time::timeout(settings.lame_duck, ending.drain().cancelled()).await;
        ending.drain().cancel();
    }
    tracing::info!("stopping: requests in flight may finish; another signal ends them");
    let code = tokio::select! {
        () = supervisor.shutdown() => {
            // What has been told is worth a moment, and no more.
            let _ = tokio::time::timeout(FLUSH_TIMEOUT, flush(telemetry, own_telemetry)).await;
            ExitCode::SUCCESS
        }
        () = ending.force().cancelled() => ExitCode::FAILURE,
    };
    if let Some(admin) = admin {
        admin.close().await;
    }
    logs.close().await;
    Ok(code)
}

async fn flush(telemetry: Option<Arc<Exporter>>, own: Option<DaemonTelemetry>) {
    if let Some(own) = own {
        own.flush().await;
    }
    if let Some(telemetry) = telemetry {
        telemetry.flush().await;
    }
}

/// A socket that the service manager opened for nobody is a mistake in one of two files.
fn report_unused(inherited: &Inherited) {
    for address in inherited.unused() {
        tracing::warn!(%address, "the service manager opened a socket at an address that no app has; it waits for an app file that names it, written in the same way");
    }
}

/// As far as is allowed: every address and every connection has a descriptor, and mapped code too.
fn raise_descriptor_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    if limit.current != limit.maximum
        && let Err(error) = setrlimit(Resource::Nofile, raised)
    {
        tracing::warn!(limit = limit.current, %error, "the limit of descriptors can't be raised");
    }
}

/// What is written line by line.
#[derive(Clone)]
struct Logs {
    access: Option<AccessLog>,
    guests: GuestLogs,
}

impl Logs {
    fn reopen(&self) {
        if let Some(access) = &self.access {
            access.reopen();
        }
        self.guests.reopen();
    }

    async fn close(self) {
        if let Some(access) = self.access {
            access.close().await;
        }
        self.guests.close().await;
    }
}

fn open_access_log(settings: &AccessLogSettings) -> Result<AccessLog> {
    AccessLog::open(settings).with_context(|| match &settings.target {
        AccessLogTarget::File(path) => format!("can't open the access log {}", path.display()),
        AccessLogTarget::Stdout => "can't write the access log".to_owned(),
    })
}

impl Directories {
    fn new(settings: &Settings) -> Result<Self> {
        let service = ServiceDirectories::from_environment();
        let data = match settings.data_dir.as_ref().or(service.data.as_ref()) {
            Some(directory) => directory.clone(),
            None => of_user(dirs::state_dir().or_else(dirs::data_local_dir), "--data-dir")?,
        };
        let source = std::path::absolute(settings.source.path())?;
        let name = hex::encode(&Sha256::digest(source.as_os_str().as_encoded_bytes())[..SOURCE_NAME_BYTES]);
        let state_root = settings.state_root.clone().or(service.state_root);
        let socket = settings.socket.clone().or_else(|| service.socket.clone());
        let socket = socket.unwrap_or_else(|| admin::default_socket(settings.source.path()));
        Ok(Self {
            state_root: state_root.unwrap_or_else(|| PathBuf::from(".")),
            socket,
            service_socket: service.socket,
            cache: cache_directory(settings.cache_dir.as_deref())?,
            data: std::path::absolute(data)?.join(name),
        })
    }
}

/// Where artifacts and compiled code are kept: as said, in the service's cache directory, or in the user's.
pub(crate) fn cache_directory(said: Option<&Path>) -> Result<PathBuf> {
    let service = ServiceDirectories::from_environment().cache;
    let directory = match said.map(Path::to_owned).or(service) {
        Some(directory) => directory,
        None => of_user(dirs::cache_dir(), "--cache-dir")?,
    };
    Ok(std::path::absolute(directory)?)
}

fn of_user(directory: Option<PathBuf>, option: &str) -> Result<PathBuf> {
    let directory = directory.with_context(|| format!("there is no home directory: say where with {option}"));
    directory.map(|directory| directory.join(PROGRAM))
}

/// What the launcher shares with others.
struct Built {
    acme: Acme,
    listeners: Listeners,
    writable: Writable,
    logs: GuestLogs,
    files: CertificateFiles,
}

fn acme(settings: &Settings, directories: &Directories) -> Result<Acme> {
    Ok(Acme::new(AcmeSettings {
        directory: settings.tls.acme_directory.clone(),
        contact: settings.tls.acme_contact.clone(),
        ca: settings.tls.acme_ca.clone(),
        data_dir: directories.data.join("acme"),
    })?)
}

/// What launches apps, and what it counts.
struct Launching {
    launcher: AppLauncher,
    apps: Apps,
    fetches: FetchCounts,
    compiles: CompileCounts,
}

fn launcher(
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
    let runtime_config = match &settings.runtime_config {
        Some(file) => RuntimeConfig::read(file)?,
        None => RuntimeConfig::default(),
    };
    let runtime = Runtime::new(host::link)?;
    let loader = Loader::new(&runtime, store.clone())?;
    tasks::spawn("idle code", loader.residents().clone().keep_tidy());
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
    });
    Ok(Launching {
        launcher,
        apps,
        fetches,
        compiles,
    })
}

/// SIGTERM and SIGINT end the process step by step; SIGHUP reads the source, and opens logs, again.
fn listen_to_signals(
    ending: Ending,
    rescan: Arc<Notify>,
    logs: Logs,
    (manager, status): (Arc<ServiceManager>, watch::Receiver<Status>),
) -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    Ok(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => ending.advance(),
                _ = interrupt.recv() => ending.advance(),
                _ = hang_up.recv() => {
                    manager.reloading();
                    rescan.notify_one();
                    logs.reopen();
                    manager.ready(&status.borrow());
                }
            }
        }
    })
}
