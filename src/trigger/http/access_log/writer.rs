//! The thread that writes the lines.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::line::Entry;
use crate::logs::Sink;
use crate::telemetry::Tally;
use crate::trigger::http::settings::{AccessLogSettings, AccessLogTarget};

/// Owns the file.
pub(super) struct Writer {
    settings: AccessLogSettings,
    output: Box<dyn Write + Send>,
    failed: Tally,
}

impl Sink for Writer {
    type Line = Box<Entry>;

    fn write(&mut self, entry: Box<Entry>) {
        let line = entry.write(self.settings.format);
        let written = self.output.write_all(line.as_bytes());
        self.tell(written);
    }

    fn flush(&mut self) {
        let flushed = self.output.flush();
        self.tell(flushed);
    }

    /// While the new file can't be opened, the old one is written to.
    fn reopen(&mut self) {
        self.flush();
        match output(&self.settings.target) {
            Ok(output) => self.output = output,
            Err(error) => {
                tracing::error!(%error, "the access log can't be opened again; the old file is kept")
            }
        }
    }
}

impl Writer {
    pub(super) fn open(settings: AccessLogSettings) -> io::Result<Self> {
        Ok(Self {
            output: output(&settings.target)?,
            settings,
            failed: Tally::default(),
        })
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
