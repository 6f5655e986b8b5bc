//! One process takes the place of another, and no connection is refused: both ends of it.

use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::signal::unix::Signal;
use tokio::sync::watch;

use super::begin::{ADMIN_ADDRESS, ADMIN_SOCKET};
use crate::admin::AdminServer;
use crate::control::{SourceLock, Status, SupervisorHandle};
use crate::sandbox::Writable;
use crate::service::{self, NewProcess, OldProcess, Open, ServiceManager, UpgradeError};
use crate::tasks::Ending;
use crate::trigger::http::{Handed, Inherited, Key, Listeners, OpenSocket};

/// How long the old process waits for the first request of a connection that it has just accepted. Apps are not told to end
/// before: they would know nothing of it.
const FIRST_REQUEST_PATIENCE: Duration = Duration::from_secs(2);

/// What the old process gives away.
pub(super) struct Upgrade {
    pub(super) program: PathBuf,
    pub(super) lock: Arc<SourceLock>,
    pub(super) listeners: Listeners,
    pub(super) writable: Writable,
    pub(super) patience: Duration,
}

/// A new process that is ready, and what belongs to it from now on.
pub(super) struct Successor {
    process: NewProcess,
    sockets: Vec<(Handed, OpenSocket)>,
}

impl Upgrade {
    /// Waits for the end of this process, and lets a new one take its place whenever SIGUSR2 asks for that. Gives the admin
    /// API back, unless that is the new process's.
    pub(super) async fn when_asked(
        &self,
        mut asked: Signal,
        admin: AdminServer,
        manager: &ServiceManager,
        ending: &Ending,
    ) -> Option<AdminServer> {
        loop {
            let prepared = tokio::select! {
                () = ending.lame_duck().cancelled() => return Some(admin),
                _ = asked.recv() => self.prepare(&admin),
            };
            let ready = tokio::select! {
                // The new process ends with this one, if it is not ready by then.
                () = ending.lame_duck().cancelled() => return Some(admin),
                ready = prepared => ready,
            };
            match ready.and_then(|successor| successor.go(manager)) {
                Ok(()) => break,
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "the upgrade failed; this process goes on"
                ),
            }
        }
        admin.leave().await;
        self.listeners.retire(FIRST_REQUEST_PATIENCE).await;
        ending.hand_over();
        None
    }

    /// Starts a new process and waits until it could go on. Whatever happens, this one goes on for now.
    pub(super) async fn prepare(&self, admin: &AdminServer) -> Result<Successor, UpgradeError> {
        tracing::info!(program = %self.program.display(), "a new process is started to replace this one");
        let start = |source| UpgradeError::Start {
            program: self.program.clone(),
            source,
        };
        let sockets = self.listeners.hand_over().map_err(start)?;
        let mut named = Vec::new();
        for open in admin.open() {
            let name = if open.is_address {
                ADMIN_ADDRESS
            } else {
                ADMIN_SOCKET
            };
            let descriptor = open.descriptor.try_clone().map_err(start)?;
            named.push((name, open.asked.clone(), descriptor));
        }
        let (program, lock) = (self.program.clone(), self.lock.clone());
        let (writable, patience) = (self.writable.clone(), self.patience);
        let started = tokio::task::spawn_blocking(move || {
            let named: Vec<_> = named
                .iter()
                .map(|(name, asked, descriptor)| (*name, asked.clone(), descriptor.as_fd()))
                .collect();
            let open = Open {
                lock: lock.as_fd(),
                writable,
                sockets: &sockets,
                named: &named,
            };
            let process = service::start_new(&program, &open, patience)?;
            Ok(Successor { process, sockets })
        });
        match started.await {
            Ok(started) => started,
            // It panicked, and goes on doing so here.
            Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
        }
    }
}

impl Successor {
    /// Lets the new process go on alone: from now on this one only finishes what it has.
    ///
    /// # Errors
    /// The new process has ended after all. All is as before.
    pub(super) fn go(self, manager: &ServiceManager) -> Result<(), UpgradeError> {
        let process = self.process.id();
        manager.replaced_by(process);
        if let Err(error) = self.process.go() {
            manager.still_here();
            return Err(error.into());
        }
        self.sockets.iter().for_each(|(_, socket)| socket.leave());
        tracing::info!(process, "the new process goes on; this one finishes its requests");
        Ok(())
    }
}

/// Waits until this process could go on in place of `old`, and does.
///
/// # Errors
/// It could not, or the old process did not wait.
pub(super) async fn take_over(
    old: OldProcess,
    supervisor: &SupervisorHandle,
    status: watch::Receiver<Status>,
    inherited: &Inherited,
    patience: Duration,
) -> Result<()> {
    let settled = service::settled(supervisor, status, patience).await;
    let awaited = inherited.awaited();
    if !settled || !awaited.is_empty() {
        let reason = reason(settled, &awaited);
        old.give_up(&reason);
        bail!(reason);
    }
    match tokio::task::spawn_blocking(move || old.replace()).await {
        Ok(replaced) => replaced?,
        // It panicked, and goes on doing so here.
        Err(panicked) => std::panic::resume_unwind(panicked.into_panic()),
    }
    inherited.open();
    tracing::info!("this process goes on in place of the old one");
    Ok(())
}

fn reason(settled: bool, awaited: &[Key]) -> String {
    let addresses: Vec<String> = awaited.iter().map(ToString::to_string).collect();
    let what = match settled {
        true => "can't serve",
        false => "has not finished starting, and does not serve",
    };
    match addresses.as_slice() {
        [] => "it has not finished starting in time".to_owned(),
        addresses => format!(
            "it {what} what the old process serves at {}",
            addresses.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_process_that_serves_less_says_where() {
        let address = crate::trigger::http::ListenAddress::Tcp("127.0.0.1:80".parse().unwrap());
        let awaited = [Key::Address(address)];
        assert_eq!(
            reason(true, &awaited),
            "it can't serve what the old process serves at 127.0.0.1:80"
        );
        assert_eq!(reason(false, &[]), "it has not finished starting in time");
    }
}
