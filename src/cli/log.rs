//! The options of the daemon's own log.

use clap::Args;

use crate::telemetry::{DEFAULT_FILTER, LogFormat, LogSettings, check_filter};

#[derive(Debug, Args)]
pub(super) struct LogArgs {
    /// What the daemon logs: a level, or levels by target, such as warn,lepton=debug; what guests print is `guest`
    #[arg(long, value_name = "FILTER", env = "RUST_LOG", default_value = DEFAULT_FILTER, value_parser = filter)]
    log_level: String,
    /// What the lines of its log look like
    #[arg(long, value_name = "FORM", default_value = "text")]
    log_format: LogFormat,
}

impl LogArgs {
    pub(super) fn settings(&self) -> LogSettings {
        LogSettings {
            filter: self.log_level.clone(),
            format: self.log_format,
        }
    }
}

fn filter(text: &str) -> Result<String, String> {
    match text.trim() {
        // A variable that is set to nothing says nothing.
        "" => Ok(DEFAULT_FILTER.to_owned()),
        text => check_filter(text).map(|()| text.to_owned()),
    }
}
