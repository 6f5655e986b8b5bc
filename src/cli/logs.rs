//! What guests print: the options of a daemon, and the command that shows it.

use std::io::Write;

use bytesize::ByteSize;
use clap::Args;

use super::args::DaemonArgs;
use crate::admin::{AdminClient, AdminError};
use crate::logs::{GuestLogSettings, GuestLogTarget, LogLine, LogQuery, MAX_LINE, Stream};

#[derive(Debug, Args)]
pub(super) struct GuestLogArgs {
    /// Where the lines go that guests print
    #[arg(long, value_name = "WHERE", default_value = "both")]
    guest_log: GuestLogTarget,
    /// How large each file of such lines may grow, beside one that was full before it
    #[arg(long, value_name = "SIZE", default_value = "10MiB", value_parser = log_size)]
    log_size: ByteSize,
    /// Begin each line of these files with the time at which it was printed, as in `2026-11-29T23:30:07.562Z`, which `logs` then
    /// tells of all lines; Spin's have none
    #[arg(long)]
    log_times: bool,
}

impl GuestLogArgs {
    pub(super) fn settings(&self) -> GuestLogSettings {
        GuestLogSettings {
            to: self.guest_log,
            times: self.log_times,
            size: self.log_size.as_u64(),
        }
    }
}

fn log_size(text: &str) -> Result<ByteSize, String> {
    let size: ByteSize = text.parse()?;
    match size.as_u64() >= MAX_LINE as u64 {
        true => Ok(size),
        false => Err(format!("a line alone may have {}", ByteSize::b(MAX_LINE as u64))),
    }
}

/// Show what an app's guests have printed: their standard output here, their standard error there
#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// The app: the name of its file without `.json`
    #[arg(value_name = "APP")]
    app: String,
    #[command(flatten)]
    daemon: DaemonArgs,
    /// Go on with what they print, until interrupted
    #[arg(short, long)]
    follow: bool,
    /// How many of the last lines of each component and stream
    #[arg(short = 'n', long, value_name = "NUMBER", default_value_t = 100)]
    lines: usize,
    /// Of this component alone
    #[arg(long, value_name = "ID")]
    component: Option<String>,
    /// What was printed to standard output alone
    #[arg(long, conflicts_with = "stderr")]
    stdout: bool,
    /// What was printed to standard error alone
    #[arg(long)]
    stderr: bool,
    /// Begin each line with the time at which it was printed, where that is known
    #[arg(short, long)]
    times: bool,
    /// Print JSON, an object a line
    #[arg(long, conflicts_with = "times")]
    json: bool,
}

impl LogsArgs {
    pub(super) fn daemon(&self) -> &DaemonArgs {
        &self.daemon
    }

    /// Prints each line as soon as it comes.
    pub(super) async fn run(self, client: &AdminClient) -> Result<(), AdminError> {
        let query = LogQuery {
            lines: self.lines,
            component: self.component,
            stream: match (self.stdout, self.stderr) {
                (true, _) => Some(Stream::Stdout),
                (_, true) => Some(Stream::Stderr),
                _ => None,
            },
            follow: self.follow,
        };
        let print = |line: LogLine| match self.json {
            true => show_json(&line),
            false => show(&line, self.times),
        };
        client.logs(&self.app, &query, print).await
    }
}

/// False when the reader has gone (`| head`), which is no failure.
fn show_json(line: &LogLine) -> bool {
    let text = serde_json::to_string(line).unwrap_or_default();
    writeln!(std::io::stdout(), "{text}").is_ok()
}

fn show(line: &LogLine, times: bool) -> bool {
    let left_out = match line.left_out {
        0 => Ok(()),
        lines => writeln!(
            std::io::stderr(),
            "({lines} lines are left out: they came too fast)"
        ),
    };
    let time = line.time.as_ref().filter(|_| times);
    let time = time.map_or_else(String::new, |time| format!("{time} "));
    let text = format!("{time}{} | {}\n", line.component, line.line);
    let shown = match line.stream {
        Stream::Stdout => std::io::stdout().write_all(text.as_bytes()),
        Stream::Stderr => std::io::stderr().write_all(text.as_bytes()),
    };
    left_out.and(shown).is_ok()
}
