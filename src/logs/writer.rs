//! What the thread does: files by path, and readers who follow.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::component::GuestLine;
use super::guests::App;
use super::reading::{Follower, LogLine, LogQuery, Stored};
use super::rotating::RotatingFile;
use super::thread::Sink;
use super::{GuestLogSettings, names, times};

/// Files that are open at once: each takes a descriptor, and the busiest stay open.
const MAX_OPEN: usize = 256;
/// A file that nothing was written to for so long is closed.
const IDLE_TIME: Duration = Duration::from_secs(60);

pub(super) enum Task {
    Line(GuestLine),
    Read(Reading),
    /// The app of this directory is gone.
    Close(Arc<Path>),
}

/// Somebody wants to know what an app has printed.
pub(super) struct Reading {
    pub(super) app: Arc<App>,
    pub(super) query: LogQuery,
    /// For what comes from now on.
    pub(super) live: Option<mpsc::Sender<LogLine>>,
    /// What is there.
    pub(super) reply: oneshot::Sender<Vec<Stored>>,
}

/// Owns the files: two components whose ids make the same name have one.
pub(super) struct Writer {
    settings: GuestLogSettings,
    open: HashMap<PathBuf, (RotatingFile, Arc<App>)>,
    /// By app.
    followers: HashMap<Arc<str>, Vec<Follower>>,
}

impl Writer {
    pub(super) fn new(settings: GuestLogSettings) -> Self {
        Self {
            settings,
            open: HashMap::new(),
            followers: HashMap::new(),
        }
    }

    fn write_line(&mut self, line: &GuestLine) {
        let path = line.directory.join(names::file(&line.component, line.stream));
        if let Err(error) = self.try_write(&path, line) {
            // It may work again when it is opened anew.
            self.open.remove(&path);
            tell(&line.app, &path, &error);
        }
    }

    fn try_write(&mut self, path: &Path, line: &GuestLine) -> io::Result<()> {
        let prefix = match self.settings.times {
            true => times::prefix(line.time),
            false => String::new(),
        };
        let text = [prefix.as_bytes(), &line.line];
        if let Some((file, _)) = self.open.get_mut(path) {
            return file.write(&text, self.settings.size);
        }
        if self.open.len() >= MAX_OPEN {
            self.close_the_idlest();
        }
        let mut file = RotatingFile::open(path)?;
        let written = file.write(&text, self.settings.size);
        self.open.insert(path.to_owned(), (file, line.app.clone()));
        written
    }

    fn close_the_idlest(&mut self) {
        let idlest = self.open.iter().min_by_key(|(_, (file, _))| file.used());
        if let Some(path) = idlest.map(|(path, _)| path.clone()) {
            self.close(|candidate, _| candidate == path);
        }
    }

    fn close(&mut self, which: impl Fn(&Path, &RotatingFile) -> bool) {
        self.flush();
        self.open.retain(|path, (file, _)| !which(path, file));
    }

    fn follow(&mut self, line: &GuestLine) {
        let Some(followers) = self.followers.get_mut(&line.app.id) else {
            return;
        };
        followers.retain_mut(|follower| follower.send(line));
        if followers.is_empty() {
            self.followers.remove(&line.app.id);
        }
    }

    fn read(&mut self, reading: Reading) {
        self.flush();
        let directory = reading.app.directory();
        let stored = Stored::find(&directory, &reading.query, self.settings.times);
        let stored = stored.unwrap_or_else(|error| {
            tell(&reading.app, &directory, &error);
            Vec::new()
        });
        if let Some(live) = reading.live {
            let follower = Follower::new(live, &reading.query);
            self.followers
                .entry(reading.app.id.clone())
                .or_default()
                .push(follower);
        }
        // Whoever asked may have gone.
        let _ = reading.reply.send(stored);
    }
}

impl Sink for Writer {
    type Line = Task;

    fn write(&mut self, task: Task) {
        match task {
            Task::Line(line) => {
                if self.settings.to.has_files() {
                    self.write_line(&line);
                }
                self.follow(&line);
            }
            Task::Read(reading) => self.read(reading),
            Task::Close(directory) => self.close(|path, _| path.parent() == Some(&directory)),
        }
    }

    fn flush(&mut self) {
        self.open.retain(|path, (file, app)| match file.flush() {
            Ok(()) => true,
            Err(error) => {
                tell(app, path, &error);
                false
            }
        });
    }

    fn reopen(&mut self) {
        self.close(|_, _| true);
    }

    fn tidy(&mut self) {
        let now = Instant::now();
        self.close(|_, file| now.duration_since(file.used()) >= IDLE_TIME);
        self.followers.retain(|_, followers| {
            followers.retain(|follower| !follower.is_gone());
            !followers.is_empty()
        });
    }
}

fn tell(app: &App, path: &Path, error: &io::Error) {
    if let Some(times) = app.failed.add() {
        tracing::error!(
            app = %app.id,
            file = %path.display(),
            %error,
            times,
            "what guests print can't be written to the app's files; lines are lost"
        );
    }
}
