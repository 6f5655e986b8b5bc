//! What a line of the daemon's log looks like.

use std::fmt;
use std::os::unix::fs::MetadataExt as _;

use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::FmtContext;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::registry::LookupSpan;

/// The form of the daemon's log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people. In systemd's journal without a time, and with the priority, that it keeps itself.
    Text,
    /// A JSON object a line.
    Json,
}

/// Lines that begin with their priority, as systemd's journal understands them (sd-daemon(3)).
pub(super) struct WithPriority<F>(pub(super) F);

impl<S, N, F> FormatEvent<S, N> for WithPriority<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "<{}>", priority(*event.metadata().level()))?;
        self.0.format_event(context, writer, event)
    }
}

/// As syslog numbers them.
fn priority(level: Level) -> u8 {
    match level {
        Level::ERROR => 3,
        Level::WARN => 4,
        Level::INFO => 6,
        Level::DEBUG | Level::TRACE => 7,
    }
}

/// Whether standard error is connected to the journal: `$JOURNAL_STREAM` says which file that is, for a child whose own is
/// another one inherits the variable.
pub(super) fn is_journal(journal_stream: Option<&str>) -> bool {
    let named = journal_stream.and_then(|stream| {
        let (device, inode) = stream.split_once(':')?;
        Some((device.parse::<u64>().ok()?, inode.parse::<u64>().ok()?))
    });
    let own = std::fs::metadata("/proc/self/fd/2").ok();
    named.is_some() && named == own.map(|own| (own.dev(), own.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_known_by_its_file() {
        let own = std::fs::metadata("/proc/self/fd/2").unwrap();
        assert!(is_journal(Some(&format!("{}:{}", own.dev(), own.ino()))));
        for other in [None, Some(""), Some("1"), Some("8:0"), Some("a:b")] {
            assert!(!is_journal(other), "{other:?}");
        }
    }
}
