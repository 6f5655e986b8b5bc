//! From a guest's line to the thread that writes it, within what an app may have waiting.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use super::guests::{App, GuestLogs};
use super::writer::Task;
use super::{GuestLogTarget, Stream};

/// What a line takes beside its bytes.
const OVERHEAD: usize = 128;

/// Where the lines of one component go. A cheap handle.
#[derive(Clone)]
pub struct ComponentLog {
    pub(super) guests: GuestLogs,
    pub(super) app: Arc<App>,
    pub(super) directory: Arc<Path>,
    pub(super) component: Arc<str>,
}

impl std::fmt::Debug for ComponentLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ComponentLog")
            .field("directory", &self.directory)
            .field("component", &self.component)
            .finish_non_exhaustive()
    }
}

/// A line on its way.
pub(super) struct GuestLine {
    pub(super) app: Arc<App>,
    pub(super) directory: Arc<Path>,
    pub(super) component: Arc<str>,
    pub(super) stream: Stream,
    pub(super) time: SystemTime,
    /// Its end may be missing.
    pub(super) line: Box<[u8]>,
    /// Given back with the line.
    _places: [Place; 2],
}

impl ComponentLog {
    pub(crate) fn target(&self) -> GuestLogTarget {
        self.guests.settings().to
    }

    /// Never waits: what does not fit is lost, and counted.
    pub(crate) fn write(&self, stream: Stream, line: &[u8]) {
        if !self.target().has_files() && !self.app.is_followed() {
            return;
        }
        let bytes = line.len() + OVERHEAD;
        let sent = Place::take(&self.app.waiting, bytes)
            .zip(Place::take(self.guests.waiting(), bytes))
            .is_some_and(|(own, shared)| {
                self.guests.thread().send(Task::Line(GuestLine {
                    app: self.app.clone(),
                    directory: self.directory.clone(),
                    component: self.component.clone(),
                    stream,
                    time: SystemTime::now(),
                    line: line.into(),
                    _places: [own, shared],
                }))
            });
        if !sent && let Some(lost) = self.app.lost.add() {
            tracing::warn!(
                app = %self.app.id,
                lost,
                "lines that guests printed are missing in the app's files: they come faster than they are written"
            );
        }
    }
}

/// Bytes that may wait.
#[derive(Debug)]
pub(super) struct Waiting {
    bytes: AtomicUsize,
    limit: usize,
}

impl Waiting {
    pub(super) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            limit,
        })
    }
}

/// Some of them, until this is dropped.
struct Place {
    of: Arc<Waiting>,
    bytes: usize,
}

impl Place {
    fn take(of: &Arc<Waiting>, bytes: usize) -> Option<Self> {
        let taken = of.bytes.fetch_add(bytes, Ordering::Relaxed);
        let place = Self {
            of: of.clone(),
            bytes,
        };
        (taken + bytes <= of.limit).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.of.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_given_back_also_when_there_was_none() {
        let waiting = Waiting::new(10);
        let first = Place::take(&waiting, 6);
        assert!(first.is_some() && Place::take(&waiting, 6).is_none());
        assert!(Place::take(&waiting, 4).is_some());
        drop(first);
        assert!(Place::take(&waiting, 10).is_some());
    }
}
