//! Messages that have been received and wait for the guest. A connection must be read all the time, or the broker takes
//! its client for dead; so what is not acknowledged, and would fill the host's memory, is dropped.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use rumqttc::{Publish, QoS};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// Bytes of messages that wait. Those that are acknowledged may be more: how many the broker sends before they are is the
/// broker's own limit.
const MAX_BYTES: usize = 32 << 20;
/// What a message takes besides its content.
const OVERHEAD: usize = 256;

/// A message, and the connection that it came by: there alone it can be acknowledged.
#[derive(Debug)]
pub(super) struct Received {
    pub(super) publish: Publish,
    pub(super) connection: u64,
}

/// The reader's end.
pub(super) struct Backlog {
    waiting: UnboundedSender<Received>,
    bytes: AtomicUsize,
    dropped: AtomicU64,
}

impl Backlog {
    pub(super) fn new() -> (Self, UnboundedReceiver<Received>) {
        let (waiting, received) = unbounded_channel();
        let backlog = Self {
            waiting,
            bytes: AtomicUsize::new(0),
            dropped: AtomicU64::new(0),
        };
        (backlog, received)
    }

    /// False when the message was dropped, and it is the first since some were taken.
    pub(super) fn push(&self, received: Received) -> bool {
        let size = size(&received.publish);
        let full = self.bytes.load(Ordering::Relaxed) + size > MAX_BYTES;
        if full && received.publish.qos == QoS::AtMostOnce {
            return self.dropped.fetch_add(1, Ordering::Relaxed) != 0;
        }
        self.bytes.fetch_add(size, Ordering::Relaxed);
        // The other end lives as long as this one.
        let _ = self.waiting.send(received);
        true
    }

    /// A message has been taken. How many have been dropped, once there is room again.
    pub(super) fn taken(&self, publish: &Publish) -> u64 {
        let size = size(publish);
        let left = self.bytes.fetch_sub(size, Ordering::Relaxed) - size;
        match left < MAX_BYTES / 2 {
            true => self.dropped.swap(0, Ordering::Relaxed),
            false => 0,
        }
    }
}

fn size(publish: &Publish) -> usize {
    publish.payload.len() + publish.topic.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(qos: QoS) -> Received {
        Received {
            publish: Publish::new("t", qos, vec![0; 1 << 20]),
            connection: 0,
        }
    }

    #[test]
    fn a_full_backlog_drops_what_is_sent_at_most_once_and_says_how_many() {
        let (backlog, mut received) = Backlog::new();
        let mut taken = 0;
        while backlog.push(message(QoS::AtMostOnce)) {
            taken += 1;
        }
        assert_eq!(taken, MAX_BYTES / ((1 << 20) + OVERHEAD + 1));
        // It is told once.
        assert!(backlog.push(message(QoS::AtMostOnce)));
        assert!(backlog.push(message(QoS::AtLeastOnce)));
        let mut dropped = 0;
        let mut seen = 0;
        while let Ok(received) = received.try_recv() {
            seen += 1;
            dropped += backlog.taken(&received.publish);
        }
        assert_eq!((seen, dropped), (taken + 1, 2));
    }
}
