//! What has to happen before the process has a second thread: what is inherited is taken, and the process confined.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};

use super::rules::rules;
use super::{Directories, Settings, Source};
use crate::admin::{self, AdminSockets};
use crate::control::SourceLock;
use crate::net::ListeningSocket;
use crate::runtime_config::RuntimeConfig;
use crate::sandbox::{self, Writable};
use crate::service::{self, OldProcess, Takeover};
use crate::trigger::http::Inherited;

/// The names of the admin sockets among those that one process hands to the next.
pub(super) const ADMIN_SOCKET: &str = "admin";
pub(super) const ADMIN_ADDRESS: &str = "admin address";

/// What the rest is built on.
pub(super) struct Begun {
    pub(super) directories: Directories,
    /// That of `--runtime-config`.
    pub(super) runtime_config: RuntimeConfig,
    pub(super) lock: SourceLock,
    pub(super) inherited: Arc<Inherited>,
    /// The admin sockets of the process before this one.
    pub(super) admin: AdminSockets,
    pub(super) writable: Writable,
    /// What an upgrade runs.
    pub(super) program: PathBuf,
    /// The process that this one is to replace.
    pub(super) old: Option<OldProcess>,
}

pub(super) fn begin(settings: &Settings) -> Result<Begun> {
    let activated = service::sockets();
    let takeover = service::takeover().context("can't take over from the other process")?;
    let runtime_config = match &settings.runtime_config {
        Some(file) => RuntimeConfig::read(file)?,
        None => RuntimeConfig::default(),
    };
    match takeover {
        None => first(settings, runtime_config, activated),
        Some(takeover) => next(settings, runtime_config, takeover),
    }
}

/// Nobody was here before.
fn first(
    settings: &Settings,
    runtime_config: RuntimeConfig,
    activated: Vec<ListeningSocket>,
) -> Result<Begun> {
    let source = settings.source.path();
    if let Source::Directory { path, .. } = &settings.source {
        std::fs::create_dir_all(path)
            .with_context(|| format!("can't create the directory {}", path.display()))?;
    }
    let lock = SourceLock::take(source)?;
    let directories = Directories::new(settings)?;
    match settings.socket.as_ref().or(directories.service_socket.as_ref()) {
        Some(socket) => admin::make_directory_of(socket)?,
        None => admin::own_directory(&directories.socket)?,
    }
    let program = service::own_program().context("can't tell where this program is")?;
    let rules = rules(
        settings,
        &directories,
        runtime_config.log_dir.as_deref(),
        &program,
    )?;
    let writable = sandbox::confine(settings.sandbox, &rules)?;
    let inherited = Inherited::of_service(activated).context("can't use a socket of the service manager")?;
    Ok(Begun {
        directories,
        runtime_config,
        lock,
        inherited: Arc::new(inherited),
        admin: AdminSockets::default(),
        writable,
        program,
        old: None,
    })
}

/// What the old process has open is used, and its confinement is this one's too: it is inherited, and can't be changed.
fn next(settings: &Settings, runtime_config: RuntimeConfig, takeover: Takeover) -> Result<Begun> {
    let Takeover {
        lock,
        writable,
        sockets,
        named,
        old,
    } = takeover;
    let mut admin = AdminSockets::default();
    for (name, asked, socket) in named {
        match (name.as_str(), socket) {
            (ADMIN_SOCKET, ListeningSocket::Unix(socket)) => admin.socket = Some(socket),
            (ADMIN_ADDRESS, socket) => admin.address = Some((asked, socket)),
            // Of a later version of this program.
            _ => {}
        }
    }
    Ok(Begun {
        directories: Directories::new(settings)?,
        runtime_config,
        lock: SourceLock::shared(lock),
        inherited: Arc::new(Inherited::handed_over(sockets)),
        admin,
        writable,
        program: service::own_program().context("can't tell where this program is")?,
        old: Some(old),
    })
}
