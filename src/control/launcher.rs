//! The only seam between the supervisor and everything that knows artifacts, Wasm and sockets.

use std::error::Error;
use std::fmt;
use std::fs::File;
use std::future::Future;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::manifest::{AppId, AppSpec};

/// Turns an app's spec into a running app.
pub trait Launcher: Clone + Send + Sync + 'static {
    /// An app that is ready to be put behind its address.
    type Prepared: Send + 'static;

    /// Fetches, verifies, compiles, and instantiates once. Slow and fallible; touches no port. Dropping the future at
    /// any await leaves nothing half-done.
    fn prepare(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        version: Version,
    ) -> impl Future<Output = Result<Preparation<Self::Prepared>, LaunchError>> + Send;

    /// Puts a prepared app behind its address: opens a listener, or takes over the one that is open there, whichever
    /// app is behind it. Fast and atomic: after an error, all is as before. Never dropped half-way. `done`: its commands
    /// have completed in an earlier process, and are not run again.
    fn activate(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
        address: ResolvedAddress,
        prepared: Self::Prepared,
        done: bool,
    ) -> impl Future<Output = Result<Running, LaunchError>> + Send;

    /// Asks where the reference points now: a manifest digest.
    fn resolve(&self, spec: Arc<AppSpec>) -> impl Future<Output = Result<String, LaunchError>> + Send;

    /// Copies the app's databases as they are at one moment, while they are used. Dropping the future leaves nothing behind,
    /// in the end.
    fn back_up(
        &self,
        id: AppId,
        spec: Arc<AppSpec>,
    ) -> impl Future<Output = Result<Backup, LaunchError>> + Send;

    /// The app's file has been deleted: what is stored for the app may go. Must not block.
    fn forget(&self, id: &AppId);

    /// These are all apps there are: what earlier runs of this program stored for others may go. Must not block.
    fn retain(&self, ids: Vec<AppId>);
}

/// Which version of an artifact to prepare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// The one that the reference resolved to last time, without asking; the newest where nothing is stored.
    Stored,
    /// The newest: the reference is resolved now.
    Fresh,
    /// The one of this manifest digest.
    Exactly(String),
}

/// What [`Launcher::prepare`] gives.
#[derive(Debug)]
pub struct Preparation<P> {
    /// For [`Launcher::activate`].
    pub prepared: P,
    /// The digest of its manifest, `sha256:…`.
    pub digest: String,
    /// The stored digest was used without asking; the reference may point elsewhere by now.
    pub revalidate: bool,
    /// It has commands, which run once for each version of the app's file.
    pub once: bool,
}

/// A running app.
#[derive(Debug)]
pub struct Running {
    /// The digest of its manifest.
    pub digest: String,
    /// Where it is served, with the real port.
    pub address: String,
    /// Its route patterns.
    pub routes: Vec<String>,
    pub run: Run,
    /// For an app with commands: how they ended. The task goes on until it is stopped.
    pub finished: Option<oneshot::Receiver<Finished>>,
    /// Why it does not serve as its file asks although it runs; `None` as long as it does.
    pub trouble: Option<watch::Receiver<Option<String>>>,
}

/// What runs of an app, and how it is stopped: it detaches from its listener, but only if it is still the app behind it,
/// drains for the time that it is given, and aborts what is left.
pub enum Run {
    /// A task, which ends when it has been stopped, or by mistake.
    Task {
        task: JoinHandle<()>,
        stop: oneshot::Sender<Duration>,
    },
    /// Nothing that could end: requests come to it from elsewhere. Thousands of apps are like that, most of them idle.
    Passive(Box<dyn Passive>),
}

/// A run without a task. Dropped, it stops at once, and its requests with it.
pub trait Passive: Send + Sync {
    fn stop(self: Box<Self>, drain: Duration) -> BoxFuture<'static, ()>;
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Task { .. } => "Task",
            Self::Passive(_) => "Passive",
        })
    }
}

/// A copy of an app's databases.
#[derive(Debug)]
pub struct Backup {
    /// A tar of them, by their paths in the app's state directory; to be read from its beginning. Nothing but this handle
    /// keeps it.
    pub tar: File,
    /// Of the tar, in bytes.
    pub size: u64,
}

/// How an app's commands ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The reason, if one of them failed.
    pub outcome: Result<(), String>,
    /// Nothing else of the app runs: no other trigger is left to serve.
    pub whole: bool,
}

/// Where to listen, with names resolved.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ResolvedAddress {
    /// A TCP address; port 0 is any free one.
    Tcp(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
    /// The file names none.
    Absent,
}

impl fmt::Display for ResolvedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ResolvedAddress::Tcp(socket) => socket.fmt(f),
            ResolvedAddress::Unix(path) => write!(f, "unix:{}", path.display()),
            ResolvedAddress::Absent => f.write_str("-"),
        }
    }
}

/// Why an app could not be prepared, activated or resolved. The layers below are rendered, so that it can be shown,
/// compared and logged once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct LaunchError {
    /// What the supervisor does about it.
    pub kind: LaunchErrorKind,
    /// The whole chain: each layer's words, the outermost first.
    pub message: String,
    /// No earlier than this, as the other side asks (`Retry-After`).
    pub retry_after: Option<Duration>,
}

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LaunchErrorKind {
    /// Another process has the port, or there is no descriptor for it: tried again soon and often.
    AddressInUse,
    /// Anything else: tried again after a growing delay.
    Other,
}

impl LaunchError {
    /// Renders an error and its sources.
    pub fn new(kind: LaunchErrorKind, error: &(dyn Error + 'static)) -> LaunchError {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(error) = source {
            let layer = error.to_string();
            // Some errors repeat their source in their own words.
            if !message.ends_with(&layer) {
                message = format!("{message}: {layer}");
            }
            source = error.source();
        }
        LaunchError {
            kind,
            message,
            retry_after: None,
        }
    }

    /// An error in these words.
    pub fn other(message: impl Into<String>) -> LaunchError {
        LaunchError {
            kind: LaunchErrorKind::Other,
            message: message.into(),
            retry_after: None,
        }
    }

    /// With the other side's wish.
    #[must_use]
    pub fn retry_after(mut self, delay: Option<Duration>) -> LaunchError {
        self.retry_after = delay;
        self
    }
}
