//! The new process of an upgrade: it is given all that is open, and goes on where the old one ends.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use super::handover::{Channel, HandoverError, Message, VARIABLE};
use crate::net::ListeningSocket;
use crate::sandbox::Writable;
use crate::trigger::http::Handed;

/// What the old process had open.
pub struct Takeover {
    /// The lock of the directory or list: both processes have it until the old one ends.
    pub lock: OwnedFd,
    pub writable: Writable,
    pub sockets: Vec<(Handed, ListeningSocket)>,
    /// Sockets that are no app's, by name.
    pub named: Vec<(String, PathBuf, ListeningSocket)>,
    pub old: OldProcess,
}

/// The process that is to end.
pub struct OldProcess(Channel);

/// Takes what the process that started this one has open; `None` if this one was started in any other way. To be called
/// before anything reads standard input.
///
/// # Errors
/// The other process has ended, or is of another mind.
pub fn takeover() -> Result<Option<Takeover>, HandoverError> {
    if std::env::var_os(VARIABLE).is_none() {
        return Ok(None);
    }
    let channel = Channel::of_standard_input().map_err(HandoverError::Channel)?;
    let (Message::Begin { writable }, Some(lock)) = channel.receive()? else {
        return Err(HandoverError::Unexpected);
    };
    let (mut sockets, mut named) = (Vec::new(), Vec::new());
    loop {
        let (message, descriptor) = channel.receive()?;
        let socket = descriptor.map(ListeningSocket::try_from).transpose();
        match (message, socket.map_err(HandoverError::Channel)?) {
            (Message::Socket(handed), Some(socket)) => sockets.push((handed, socket)),
            (Message::Named { name, path }, Some(socket)) => named.push((name, path, socket)),
            (Message::End, None) => break,
            _ => return Err(HandoverError::Unexpected),
        }
    }
    Ok(Some(Takeover {
        lock,
        writable,
        sockets,
        named,
        old: OldProcess(channel),
    }))
}

impl OldProcess {
    /// Tells that all that the old process serves is served by this one, and waits until the old one has let go. Blocks.
    ///
    /// # Errors
    /// The old process has not waited, and goes on itself.
    pub fn replace(self) -> Result<(), HandoverError> {
        self.0.send(&Message::Ready, None)?;
        match self.0.receive()? {
            (Message::Go, _) => Ok(()),
            _ => Err(HandoverError::Unexpected),
        }
    }

    /// Tells why this process gives up.
    pub fn give_up(self, reason: &str) {
        // The old process sees the end of this one anyway.
        let _ = self.0.send(&Message::Failed(reason.to_owned()), None);
    }
}
