//! The system's file events, reduced to hints. A hint says where to look, never what is true.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Hint {
    /// At one path.
    Path(PathBuf, Sign),
    /// Everywhere: events were lost, or somebody asks for it.
    Everywhere,
    /// Nowhere any more: nobody listens.
    Stop,
}

/// What happened there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sign {
    /// It is being written; the end of it will be told too.
    Writing,
    /// Anything else: written and closed, renamed, linked, created, removed.
    Done,
}

/// Watches a few directories, none of them with its subdirectories.
pub(crate) struct Events {
    watcher: RecommendedWatcher,
    watched: HashSet<PathBuf>,
}

impl Events {
    /// Sends hints to `hints` from now on.
    ///
    /// # Errors
    /// The system has no events, or no more watchers for this user.
    pub(crate) fn new(hints: Sender<Hint>) -> notify::Result<Events> {
        let watcher = notify::recommended_watcher(move |event| {
            for hint in hints_of(event) {
                // The receiver is gone only when the watch has ended.
                let _ = hints.send(hint);
            }
        })?;
        let watched = HashSet::new();
        Ok(Events { watcher, watched })
    }

    /// Watches the directory that stands under this path now, also when another one stood there before.
    ///
    /// # Errors
    /// There is none, or the system's limit of watches is reached.
    pub(crate) fn watch_anew(&mut self, dir: &Path) -> notify::Result<()> {
        self.unwatch(dir);
        self.watcher.watch(dir, RecursiveMode::NonRecursive)?;
        self.watched.insert(dir.to_owned());
        Ok(())
    }

    /// Watches a directory, unless it is watched already.
    ///
    /// # Errors
    /// As [`Events::watch_anew`].
    pub(crate) fn watch(&mut self, dir: &Path) -> notify::Result<()> {
        if self.watched.contains(dir) {
            Ok(())
        } else {
            self.watch_anew(dir)
        }
    }

    /// Stops watching all but those.
    pub(crate) fn retain(&mut self, keep: impl Fn(&Path) -> bool) {
        let superfluous: Vec<_> = self.watched.iter().filter(|dir| !keep(dir)).cloned().collect();
        for dir in superfluous {
            self.unwatch(&dir);
        }
    }

    fn unwatch(&mut self, dir: &Path) {
        if self.watched.remove(dir) {
            // It may have ended with its directory: then there is nothing left to end.
            let _ = self.watcher.unwatch(dir);
        }
    }
}

fn hints_of(event: notify::Result<Event>) -> Vec<Hint> {
    let event = match event {
        Ok(event) => event,
        Err(e) => {
            tracing::warn!(error = %e, "file events failed; the directory is listed anew");
            return vec![Hint::Everywhere];
        }
    };
    if event.need_rescan() {
        tracing::info!("file events were lost; the directory is listed anew");
        return vec![Hint::Everywhere];
    }
    let sign = match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Sign::Done,
        // Reading is what the watch itself does.
        EventKind::Access(_) => return Vec::new(),
        EventKind::Modify(ModifyKind::Data(_)) => Sign::Writing,
        // Its two halves are told one by one.
        EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => return Vec::new(),
        _ => Sign::Done,
    };
    event
        .paths
        .into_iter()
        .map(|path| Hint::Path(path, sign))
        .collect()
}

#[cfg(test)]
mod tests {
    use notify::event::{DataChange, Flag};

    use super::*;

    fn hints(kind: EventKind) -> Vec<Hint> {
        hints_of(Ok(Event::new(kind).add_path("/d/a.json".into())))
    }

    #[test]
    fn an_overflow_and_an_error_lead_to_a_look_everywhere() {
        let overflow = Event::new(EventKind::Other).set_flag(Flag::Rescan);
        assert_eq!(hints_of(Ok(overflow)), [Hint::Everywhere]);
        assert_eq!(
            hints_of(Err(notify::Error::generic("broken"))),
            [Hint::Everywhere]
        );
    }

    #[test]
    fn reading_is_no_hint_and_writing_only_half_of_one() {
        assert_eq!(hints(EventKind::Access(AccessKind::Open(AccessMode::Any))), []);
        assert_eq!(hints(EventKind::Access(AccessKind::Close(AccessMode::Read))), []);
        let path = || PathBuf::from("/d/a.json");
        let writing = EventKind::Modify(ModifyKind::Data(DataChange::Any));
        assert_eq!(hints(writing), [Hint::Path(path(), Sign::Writing)]);
        let closed = EventKind::Access(AccessKind::Close(AccessMode::Write));
        assert_eq!(hints(closed), [Hint::Path(path(), Sign::Done)]);
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        assert_eq!(hints(renamed), [Hint::Path(path(), Sign::Done)]);
    }
}
