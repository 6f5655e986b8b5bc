//! What an app has printed, and what it prints.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::component::GuestLine;
use super::guests::Following;
use super::rotating::older;
use super::tail::Written;
use super::{Stream, names, times};
use crate::tasks;

/// Lines of each file that a reader gets at most.
pub const MAX_LINES: usize = 10_000;
/// Lines that wait for a reader who follows: what comes while there are so many is left out, and counted.
const FOLLOWER_CAPACITY: usize = 1024;

/// A line that a guest has printed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct LogLine {
    /// When, in RFC 3339: known of lines that were printed while somebody read, and of all in files that have times.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// The component's id; of a line from a file, as it is in the file's name.
    pub component: String,
    pub stream: Stream,
    /// Without its end.
    pub line: String,
    /// Lines before this one that the reader was too slow for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Which lines are wanted.
#[derive(Debug, Clone, Default)]
pub struct LogQuery {
    /// Of each file, the last ones.
    pub lines: usize,
    /// Of this component alone.
    pub component: Option<String>,
    /// Of this stream alone.
    pub stream: Option<Stream>,
    /// Then what comes.
    pub follow: bool,
}

/// The two ends of what comes.
type Live = (Option<mpsc::Sender<LogLine>>, Option<mpsc::Receiver<LogLine>>);

impl LogQuery {
    pub(super) fn channel(&self) -> Live {
        self.follow.then(|| mpsc::channel(FOLLOWER_CAPACITY)).unzip()
    }

    fn wants(&self, component: &str, stream: Stream) -> bool {
        let named = |wanted: &String| *wanted == component || names::component(wanted) == component;
        self.component.as_ref().is_none_or(named) && self.stream.is_none_or(|wanted| wanted == stream)
    }
}

/// The way to somebody who reads along.
pub(super) struct Follower {
    lines: mpsc::Sender<LogLine>,
    query: LogQuery,
    left_out: u64,
}

impl Follower {
    pub(super) fn new(lines: mpsc::Sender<LogLine>, query: &LogQuery) -> Self {
        Self {
            lines,
            query: query.clone(),
            left_out: 0,
        }
    }

    pub(super) fn is_gone(&self) -> bool {
        self.lines.is_closed()
    }

    /// Whether there still is somebody.
    pub(super) fn send(&mut self, line: &GuestLine) -> bool {
        if !self.query.wants(&line.component, line.stream) {
            return !self.is_gone();
        }
        let text = line.line.strip_suffix(b"\n").unwrap_or(&line.line);
        let sent = self.lines.try_send(LogLine {
            time: Some(times::text(line.time)),
            component: line.component.to_string(),
            stream: line.stream,
            line: String::from_utf8_lossy(text).into_owned(),
            left_out: self.left_out,
        });
        match sent {
            Ok(()) => self.left_out = 0,
            Err(TrySendError::Full(_)) => self.left_out += 1,
            Err(TrySendError::Closed(_)) => return false,
        }
        true
    }
}

/// The files of one stream of a component, as they were when they were asked for.
pub(super) struct Stored {
    component: String,
    stream: Stream,
    /// Whether lines begin with their times.
    times: bool,
    /// The older one first.
    files: Vec<Written>,
}

impl Stored {
    /// Those in a directory, by their names; a directory that is not there has none.
    pub(super) fn find(directory: &Path, query: &LogQuery, times: bool) -> io::Result<Vec<Self>> {
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let name = entry?.file_name().to_string_lossy().into_owned();
            if let Some((component, stream)) = names::parse(&name)
                && query.wants(component, stream)
            {
                let path = directory.join(&name);
                let files = [older(&path), path].map(|path| File::open(path).and_then(Written::of));
                found.push(Self {
                    component: component.to_owned(),
                    stream,
                    times,
                    // One that is missing, or not to be read, keeps nobody from the others.
                    files: files.into_iter().flatten().collect(),
                });
            }
        }
        found.sort_by(|one, other| {
            (&one.component, one.stream.name()).cmp(&(&other.component, other.stream.name()))
        });
        Ok(found)
    }

    fn last_lines(mut self, count: usize) -> io::Result<Vec<LogLine>> {
        let mut lines = VecDeque::new();
        for file in self.files.iter_mut().rev() {
            let missing = count - lines.len();
            for line in file.last_lines(missing)?.into_iter().rev() {
                let (time, text) = match self.times {
                    true => times::split(&line),
                    false => (None, &*line),
                };
                lines.push_front(LogLine {
                    time,
                    component: self.component.clone(),
                    stream: self.stream,
                    line: String::from_utf8_lossy(text).into_owned(),
                    left_out: 0,
                });
            }
        }
        Ok(lines.into())
    }
}

/// Gives what was printed, file by file, then what is.
pub struct LogReader {
    lines: usize,
    stored: VecDeque<Stored>,
    ready: VecDeque<LogLine>,
    live: Option<mpsc::Receiver<LogLine>>,
    _following: Option<Following>,
}

impl LogReader {
    pub(super) fn new(
        lines: usize,
        stored: Vec<Stored>,
        live: Option<mpsc::Receiver<LogLine>>,
        following: Option<Following>,
    ) -> Self {
        Self {
            lines: lines.min(MAX_LINES),
            stored: stored.into(),
            ready: VecDeque::new(),
            live,
            _following: following,
        }
    }

    /// The next line; `None` at the end, which does not come while the daemon lives when the reader follows.
    pub async fn next(&mut self) -> io::Result<Option<LogLine>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            let Some(stored) = self.stored.pop_front() else {
                break;
            };
            let count = self.lines;
            let read = tasks::on_disk(move || stored.last_lines(count)).await;
            self.ready = read?.into();
        }
        match &mut self.live {
            Some(live) => Ok(live.recv().await),
            None => Ok(None),
        }
    }
}
