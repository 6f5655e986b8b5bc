//! How one process hands its sockets to the next: messages on a pair of sockets, one end of which is the new process's
//! standard input. Descriptors travel with them (`SCM_RIGHTS`), so that any number can, whatever theirs are.
//!
//! ```text
//! old ── Begin, Socket…, End ──▶ new        the new one prepares every app, and accepts beside the old one
//! old ◀── Ready, or why not ─── new
//! old ── Go ───────────────────▶ new        the old one ends; the new one tells the service manager so
//! ```

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use crate::sandbox::Writable;
use crate::trigger::http::Handed;

/// Set for a new process whose standard input is the channel.
pub(super) const VARIABLE: &str = "LEPTON_TAKEOVER";
/// Bytes of the longest message: paths are the longest part of any.
const LONGEST: usize = 64 * 1024;

/// One message.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Message {
    /// With the lock of the directory or list. What the old process may write, the new one may.
    Begin { writable: Writable },
    /// With a socket of apps.
    Socket(Handed),
    /// With a socket that is no app's.
    Named { name: String, path: PathBuf },
    /// That was all.
    End,
    /// The new process serves all that the old one does.
    Ready,
    /// It can't, and ends.
    Failed(String),
    /// The old process is about to end.
    Go,
}

/// Why a message did not come through.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("the other process has ended")]
    Ended,
    #[error("the other process said nothing in time")]
    Silent,
    #[error("the channel between both processes failed")]
    Channel(#[source] io::Error),
    #[error("what the other process says is not understood: is one of the two much older?")]
    Message(#[from] serde_json::Error),
    #[error("the other process said something else than was expected")]
    Unexpected,
}

/// One end. Its calls block.
pub(super) struct Channel(OwnedFd);

impl Channel {
    pub(super) fn pair() -> io::Result<(Self, OwnedFd)> {
        let flags = SocketFlags::CLOEXEC;
        let (ours, theirs) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Self(ours), theirs))
    }

    /// The channel of a process that was started to take over.
    pub(super) fn of_standard_input() -> io::Result<Self> {
        std::io::stdin().as_fd().try_clone_to_owned().map(Self)
    }

    /// How long to wait for a message.
    pub(super) fn set_patience(&self, patience: Duration) -> io::Result<()> {
        for direction in [Timeout::Recv, Timeout::Send] {
            set_socket_timeout(&self.0, direction, Some(patience))?;
        }
        Ok(())
    }

    pub(super) fn send(
        &self,
        message: &Message,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), HandoverError> {
        let bytes = serde_json::to_vec(message)?;
        let descriptors: Vec<BorrowedFd<'_>> = descriptor.into_iter().collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() {
            // There is room for the one that there is.
            control.push(SendAncillaryMessage::ScmRights(&descriptors));
        }
        let sent = sendmsg(
            &self.0,
            &[IoSlice::new(&bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        );
        sent.map(drop).map_err(failed)
    }

    /// The next message, and the descriptor that came with it.
    pub(super) fn receive(&self) -> Result<(Message, Option<OwnedFd>), HandoverError> {
        let mut bytes = vec![0; LONGEST];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut into = [IoSliceMut::new(&mut bytes)];
        let received = recvmsg(&self.0, &mut into, &mut control, RecvFlags::CMSG_CLOEXEC).map_err(failed)?;
        let descriptors = control.drain().filter_map(|message| match message {
            RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
            _ => None,
        });
        let descriptor = descriptors.flatten().next();
        if received.bytes == 0 {
            return Err(HandoverError::Ended);
        }
        Ok((serde_json::from_slice(&bytes[..received.bytes])?, descriptor))
    }
}

fn failed(error: rustix::io::Errno) -> HandoverError {
    use rustix::io::Errno;
    match error {
        Errno::AGAIN => HandoverError::Silent,
        Errno::PIPE | Errno::CONNRESET => HandoverError::Ended,
        error => HandoverError::Channel(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_descriptors_come_through() {
        let (old, new) = Channel::pair().unwrap();
        let new = Channel(new);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let begin = Message::Begin {
            writable: Writable::everywhere(),
        };
        old.send(&begin, Some(listener.as_fd())).unwrap();
        old.send(&Message::End, None).unwrap();
        let (message, descriptor) = new.receive().unwrap();
        assert_eq!(message, begin);
        let copy = std::net::TcpListener::from(descriptor.unwrap());
        assert_eq!(copy.local_addr().unwrap(), listener.local_addr().unwrap());
        let (message, descriptor) = new.receive().unwrap();
        assert!(message == Message::End && descriptor.is_none());

        old.set_patience(Duration::from_millis(1)).unwrap();
        assert!(matches!(old.receive(), Err(HandoverError::Silent)));
        drop(new);
        assert!(matches!(old.receive(), Err(HandoverError::Ended)));
        assert!(matches!(old.send(&Message::Go, None), Err(HandoverError::Ended)));
    }
}
