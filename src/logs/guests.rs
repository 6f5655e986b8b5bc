//! The log files of all apps: who has them, and the way to the thread that writes them.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use super::GuestLogSettings;
use super::component::{ComponentLog, Waiting};
use super::reading::{LogQuery, LogReader};
use super::thread::LineThread;
use super::writer::{Reading, Task, Writer};
use crate::telemetry::Tally;

/// Lines that wait for the thread; bytes bound them, too.
const CAPACITY: usize = 1 << 16;
/// Bytes of lines that may wait, of one app and of all.
const APP_WAITING: usize = 4 << 20;
const ALL_WAITING: usize = 32 << 20;

/// The log files of all apps. A cheap handle.
#[derive(Clone)]
pub struct GuestLogs {
    shared: Arc<Shared>,
}

struct Shared {
    settings: GuestLogSettings,
    thread: LineThread<Task>,
    waiting: Arc<Waiting>,
    apps: Mutex<HashMap<Arc<str>, Arc<App>>>,
}

/// What all versions of one app share.
pub(super) struct App {
    pub(super) id: Arc<str>,
    /// That of the version that was prepared last; versions that still run may have others.
    directory: Mutex<Arc<Path>>,
    pub(super) waiting: Arc<Waiting>,
    pub(super) lost: Tally,
    pub(super) failed: Tally,
    followers: AtomicUsize,
}

impl App {
    pub(super) fn directory(&self) -> Arc<Path> {
        // Nothing panics while it is held.
        self.directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn is_followed(&self) -> bool {
        self.followers.load(Ordering::Acquire) > 0
    }
}

/// Somebody reads along, until this is dropped.
pub(super) struct Following(Arc<App>);

impl Following {
    pub(super) fn new(app: &Arc<App>) -> Self {
        app.followers.fetch_add(1, Ordering::AcqRel);
        Self(app.clone())
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        self.0.followers.fetch_sub(1, Ordering::AcqRel);
    }
}

/// The log files of one version of an app.
#[derive(Clone)]
pub struct AppLogs {
    guests: GuestLogs,
    app: Arc<App>,
    directory: Arc<Path>,
}

impl AppLogs {
    /// Where the files are; it is made when there is something to write.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    pub fn component(&self, id: Arc<str>) -> ComponentLog {
        ComponentLog {
            guests: self.guests.clone(),
            app: self.app.clone(),
            directory: self.directory.clone(),
            component: id,
        }
    }
}

impl GuestLogs {
    /// Starts the thread. No file is opened yet.
    pub fn start(settings: GuestLogSettings) -> io::Result<Self> {
        let writer = Writer::new(settings);
        Ok(Self {
            shared: Arc::new(Shared {
                settings,
                thread: LineThread::start("guest log", CAPACITY, writer)?,
                waiting: Waiting::new(ALL_WAITING),
                apps: Mutex::default(),
            }),
        })
    }

    /// Whether lines are written to files.
    pub fn has_files(&self) -> bool {
        self.shared.settings.to.has_files()
    }

    /// The files of an app whose new version has its logs in this directory.
    pub fn app(&self, id: &str, directory: PathBuf) -> AppLogs {
        let directory: Arc<Path> = directory.into();
        // Nothing panics while they are held.
        let mut apps = self.shared.apps.lock().unwrap_or_else(PoisonError::into_inner);
        let app = match apps.get(id) {
            Some(app) => app.clone(),
            None => {
                let id: Arc<str> = id.into();
                let app = Arc::new(App {
                    id: id.clone(),
                    directory: Mutex::new(directory.clone()),
                    waiting: Waiting::new(APP_WAITING),
                    lost: Tally::default(),
                    failed: Tally::default(),
                    followers: AtomicUsize::new(0),
                });
                apps.insert(id, app.clone());
                app
            }
        };
        *app.directory.lock().unwrap_or_else(PoisonError::into_inner) = directory.clone();
        AppLogs {
            guests: self.clone(),
            app,
            directory,
        }
    }

    /// Nobody will ask for the app again. What its last version still prints is written.
    pub fn forget(&self, id: &str) {
        let gone = self
            .shared
            .apps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
        if let Some(app) = gone {
            // Where there is no room, its files are closed when they have not been used for a while.
            let _ = self.shared.thread.send(Task::Close(app.directory()));
        }
    }

    /// What an app has printed: `None` when none has been prepared under that id.
    pub async fn read(&self, id: &str, query: LogQuery) -> Option<LogReader> {
        let app = self
            .shared
            .apps
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .get(id)
            .cloned()?;
        let following = query.follow.then(|| Following::new(&app));
        let (reply, answered) = oneshot::channel();
        let (live, lines) = query.channel();
        let task = Task::Read(Reading {
            app,
            query: query.clone(),
            live,
            reply,
        });
        self.shared.thread.send_patiently(task).await;
        // Without an answer the thread has ended, as the process does.
        let stored = answered.await.unwrap_or_default();
        Some(LogReader::new(query.lines, stored, lines, following))
    }

    /// Opens all files again, as they are needed: another program has renamed some.
    pub fn reopen(&self) {
        self.shared.thread.reopen();
    }

    /// Has everything written, if that is possible in a moment.
    pub async fn close(self) {
        self.shared.thread.clone().close().await;
    }

    pub(super) fn settings(&self) -> &GuestLogSettings {
        &self.shared.settings
    }

    pub(super) fn thread(&self) -> &LineThread<Task> {
        &self.shared.thread
    }

    pub(super) fn waiting(&self) -> &Arc<Waiting> {
        &self.shared.waiting
    }
}

#[cfg(test)]
mod tests {
    use super::super::{GuestLogTarget, Stream};
    use super::*;

    #[tokio::test]
    async fn more_files_than_may_be_open_have_all_their_lines() {
        const FILES: usize = 300;
        let directory = tempfile::tempdir().unwrap();
        let logs = GuestLogs::start(GuestLogSettings {
            to: GuestLogTarget::Files,
            times: false,
            size: 1 << 20,
        })
        .unwrap();
        let app = logs.app("app", directory.path().join("logs"));
        for round in ["first\n", "second, without an end"] {
            for number in 0..FILES {
                let component = app.component(format!("c{number}").into());
                component.write(Stream::Stderr, round.as_bytes());
            }
        }
        logs.forget("app");
        logs.close().await;
        for number in 0..FILES {
            let file = directory.path().join(format!("logs/c{number}_stderr.txt"));
            assert_eq!(
                std::fs::read_to_string(file).unwrap(),
                "first\nsecond, without an end\n"
            );
        }
    }
}
