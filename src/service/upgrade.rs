//! The old process of an upgrade: it starts its program anew, gives that all that is open, and ends when the new process
//! serves all that it did. Until then it goes on as before, whatever becomes of the new one.

use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use super::handover::{Channel, HandoverError, Message, VARIABLE};
use crate::sandbox::Writable;
use crate::trigger::http::{Handed, OpenSocket};

/// Environment that means the process that was given it, and no other.
const OWN: [&str; 4] = ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];
/// How long a new process that has told why it fails may take to end.
const END_PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Why the old process goes on.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    #[error("a process with the id 1 can't be replaced: start the container anew")]
    First,
    #[error("can't start {}", program.display())]
    Start {
        program: PathBuf,
        source: std::io::Error,
    },
    #[error("the new process was not ready in time, and has been stopped; --upgrade-timeout gives it longer")]
    Slow,
    #[error("the new process gave up: {0}")]
    GaveUp(String),
    #[error("the new process ended ({0}); its log says why")]
    Ended(ExitStatus),
    #[error("the new process could not be given what is open")]
    Handover(#[from] HandoverError),
}

/// What the new process is given.
pub struct Open<'a> {
    pub lock: BorrowedFd<'a>,
    pub writable: Writable,
    pub sockets: &'a [(Handed, OpenSocket)],
    /// Sockets that are no app's, by name.
    pub named: &'a [(&'static str, PathBuf, BorrowedFd<'a>)],
}

/// A new process that is ready to go on.
pub struct NewProcess {
    child: Child,
    channel: Channel,
}

/// Where this process's program is: asked at the start, as the file may be replaced later, which is what upgrades are for.
pub fn own_program() -> std::io::Result<PathBuf> {
    std::env::current_exe()
}

/// Starts `program` with the arguments of this process and waits, for as long as `patience`, until it serves all that is
/// open. Blocks.
///
/// # Errors
/// It does not. It has ended, or is stopped.
pub fn start_new(program: &Path, open: &Open<'_>, patience: Duration) -> Result<NewProcess, UpgradeError> {
    if std::process::id() == 1 {
        return Err(UpgradeError::First);
    }
    let start = |source| UpgradeError::Start {
        program: program.to_owned(),
        source,
    };
    let (channel, theirs) = Channel::pair().map_err(start)?;
    channel.set_patience(patience).map_err(start)?;
    let mut command = Command::new(program);
    command
        .args(std::env::args_os().skip(1))
        .env(VARIABLE, "1")
        .stdin(theirs);
    for variable in OWN {
        command.env_remove(variable);
    }
    let mut child = command.spawn().map_err(start)?;
    // It holds the other end of the channel, whose end would never be seen.
    drop(command);
    match converse(&channel, open) {
        Ok(()) => Ok(NewProcess { child, channel }),
        Err(error) => Err(dismiss(&mut child, error)),
    }
}

fn converse(channel: &Channel, open: &Open<'_>) -> Result<(), UpgradeError> {
    let begin = Message::Begin {
        writable: open.writable.clone(),
    };
    channel.send(&begin, Some(open.lock))?;
    for (handed, socket) in open.sockets {
        channel.send(&Message::Socket(handed.clone()), Some(socket.as_fd()))?;
    }
    for (name, path, socket) in open.named {
        let named = Message::Named {
            name: (*name).to_owned(),
            path: path.clone(),
        };
        channel.send(&named, Some(*socket))?;
    }
    channel.send(&Message::End, None)?;
    match channel.receive()?.0 {
        Message::Ready => Ok(()),
        Message::Failed(reason) => Err(UpgradeError::GaveUp(reason)),
        _ => Err(HandoverError::Unexpected.into()),
    }
}

/// Sees to it that a new process that is of no use ends.
fn dismiss(child: &mut Child, error: UpgradeError) -> UpgradeError {
    let by_itself = match &error {
        UpgradeError::GaveUp(_) | UpgradeError::Handover(HandoverError::Ended) => ended(child),
        _ => None,
    };
    if by_itself.is_none() {
        // It may have ended this very moment.
        let _ = child.kill();
        let _ = child.wait();
    }
    match (error, by_itself) {
        (UpgradeError::Handover(HandoverError::Ended), Some(status)) => UpgradeError::Ended(status),
        (UpgradeError::Handover(HandoverError::Silent), _) => UpgradeError::Slow,
        (error, _) => error,
    }
}

fn ended(child: &mut Child) -> Option<ExitStatus> {
    let deadline = Instant::now() + END_PATIENCE;
    while Instant::now() < deadline {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        std::thread::sleep(LOOK_AGAIN);
    }
    None
}

impl NewProcess {
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Lets it go on alone.
    ///
    /// # Errors
    /// It has ended after all.
    pub fn go(self) -> Result<(), HandoverError> {
        self.channel.send(&Message::Go, None)
    }
}
