//! The composition root: builds the long-lived parts once and wires them.

mod begin;
mod directories;
mod launching;
mod rules;
mod settings;
mod upgrade;

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use self::begin::{Begun, begin};
use self::directories::Directories;
pub(crate) use self::directories::cache_directory;
use self::launching::{Built, Launching, acme, launcher};
pub use self::settings::{Settings, Source, TlsOptions};
use self::upgrade::{Upgrade, take_over};
use crate::admin;
use crate::control::{self, Status, Supervisor, SupervisorSettings, WatchOptions};
use crate::host::Host;
use crate::logs::GuestLogs;
use crate::memory;
use crate::net::CertificateFiles;
use crate::otlp::{DaemonTelemetry, Exporter};
use crate::service::{self, ServiceManager};
use crate::tasks::{self, Ending};
use crate::trigger::http::{AccessLog, AccessLogSettings, AccessLogTarget, Inherited, Listeners};

/// Apps that hold threads long take turns on all but one.
const MIN_THREADS: usize = 2;
/// After so many polls of tasks at the latest, sockets are looked at: with many apps being prepared a poll may take a millisecond, and
/// clients wait for as many of them.
const EVENT_INTERVAL: u32 = 16;
/// How long telemetry may take to be sent at the end.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(3);

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
        .on_thread_park(memory::when_idle)
        .event_interval(EVENT_INTERVAL)
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
        runtime_config,
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
        runtime_config,
    };
    let files = built.files.clone();
    let Launching {
        launcher,
        apps,
        fetches,
        compiles,
    } = launcher(&settings, &directories, host, built)?;
    tasks::spawn("recent traffic", apps.clone().keep_recent());

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
