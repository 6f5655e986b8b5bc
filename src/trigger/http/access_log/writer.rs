//! The thread that writes the lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::mpsc;

use super::Message;
use crate::telemetry::Tally;
use crate::trigger::http::settings::{AccessLogSettings, AccessLogTarget};

/// Owns the file.
pub(super) struct Writer {
    settings: AccessLogSettings,
    output: Box<dyn Write + Send>,
    reopen: Arc<AtomicBool>,
    failed: Tally,
}

impl Writer {
    pub(super) fn open(settings: AccessLogSettings, reopen: Arc<AtomicBool>) -> io::Result<Self> {
        Ok(Self {
            output: output(&settings.target)?,
            settings,
            reopen,
            failed: Tally::default(),
        })
    }

    /// Writes until it is told to end.
    pub(super) fn run(mut self, mut messages: mpsc::Receiver<Message>) {
        while let Some(message) = messages.blocking_recv() {
            if self.reopen.swap(false, Ordering::AcqRel) {
                self.open_again();
            }
            match message {
                Message::Line(entry) => {
                    let line = entry.write(self.settings.format);
                    let written = self.output.write_all(line.as_bytes());
                    self.tell(written);
                }
                Message::Wake => {}
                Message::Close(done) => {
                    let flushed = self.output.flush();
                    self.tell(flushed);
                    // Whoever asked may have gone.
                    let _ = done.send(());
                    return;
                }
            }
            if messages.is_empty() {
                let flushed = self.output.flush();
                self.tell(flushed);
            }
        }
    }

    /// While the new file can't be opened, the old one is written to.
    fn open_again(&mut self) {
        let flushed = self.output.flush();
        self.tell(flushed);
        match output(&self.settings.target) {
            Ok(output) => self.output = output,
            Err(error) => {
                tracing::error!(%error, "the access log can't be opened again; the old file is kept")
            }
        }
    }

    fn tell(&self, result: io::Result<()>) {
        if let Err(error) = result
            && let Some(times) = self.failed.add()
        {
            tracing::error!(%error, times, "the access log can't be written; lines are lost");
        }
    }
}

fn output(target: &AccessLogTarget) -> io::Result<Box<dyn Write + Send>> {
    Ok(match target {
        AccessLogTarget::Stdout => Box::new(BufWriter::new(io::stdout())),
        AccessLogTarget::File(path) => Box::new(BufWriter::new(open(path)?)),
    })
}

fn open(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}
