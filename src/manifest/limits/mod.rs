//! What one app may use: the `limits` of its file, over the daemon's `--limits`.
//!
//! | member | of what | built in |
//! |---|---|---|
//! | `memory` | all linear memories of one instance | any |
//! | `request_time` | one request, until the last byte of its response | any |
//! | `cpu_time` | the processor's time that one request, event or run of a command takes | any |
//! | `requests` | requests at once | 512 |
//! | `queue`, `queue_time` | requests that wait for one of those, and how long | 1024, 10 s |
//! | `rate`, `burst` | requests a second, and at once after a pause | any; a second's worth |
//! | `body`, `headers` | a request's body, and its target and headers | any; 64 KiB |
//! | `outbound_connections` | connections of all kinds to elsewhere | any |
//! | `outbound_networks` | where those may go, besides being allowed by the app | anywhere |
//! | `log_rate` | bytes a second that its guests print | any |
//! | `state_size` | all files in its state directory | any |
//!
//! A member that is `null` lifts the daemon's limit.

mod read;

use std::path::Path;
use std::time::Duration;

use super::ManifestError;
use crate::net::Network;

#[cfg(test)]
pub(super) use read::MEMBERS;
pub(super) use read::Object;

const REQUESTS: usize = 512;
const QUEUE: usize = 1024;
const QUEUE_TIME: Duration = Duration::from_secs(10);
const HEADERS: usize = 64 << 10;

/// One limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Limit<T> {
    /// Nothing is said.
    #[default]
    Unset,
    /// There is none.
    Lifted,
    At(T),
}

impl<T> Limit<T> {
    /// The number, where there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::At(value) => Some(value),
            Self::Unset | Self::Lifted => None,
        }
    }
}

impl<T: Clone> Limit<T> {
    fn over(self, default: &Self) -> Self {
        match self {
            Self::Unset => default.clone(),
            said => said,
        }
    }
}

/// The time between two requests that come evenly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(pub Duration);

impl Rate {
    /// A second's worth, at least one.
    pub fn a_second(self) -> u32 {
        (Duration::from_secs(1).as_secs_f64() / self.0.as_secs_f64())
            .round()
            .max(1.0) as u32
    }
}

/// See the [module](self).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Bytes.
    pub memory: Limit<usize>,
    pub request_time: Limit<Duration>,
    pub cpu_time: Limit<Duration>,
    pub requests: Limit<usize>,
    pub queue: Limit<usize>,
    pub queue_time: Limit<Duration>,
    pub rate: Limit<Rate>,
    pub burst: Limit<u32>,
    /// Bytes.
    pub body: Limit<u64>,
    /// Bytes.
    pub headers: Limit<usize>,
    pub outbound_connections: Limit<usize>,
    pub outbound_networks: Limit<Vec<Network>>,
    /// Bytes a second.
    pub log_rate: Limit<u32>,
    /// Bytes.
    pub state_size: Limit<u64>,
}

impl Limits {
    /// What holds where neither an app nor the daemon says anything.
    pub fn built_in() -> Self {
        Self {
            requests: Limit::At(REQUESTS),
            queue: Limit::At(QUEUE),
            queue_time: Limit::At(QUEUE_TIME),
            headers: Limit::At(HEADERS),
            ..Self::default()
        }
    }

    /// Reads the daemon's: an object, or the file that holds one.
    ///
    /// # Errors
    /// What is wrong with it, with the place.
    pub fn parse(text: &str) -> Result<Self, ManifestError> {
        if text.trim_start().starts_with('{') {
            return read::parse(text)
                .map_err(|error| ManifestError::invalid(Path::new("--limits"), text, &error));
        }
        let file = Path::new(text);
        let text = std::fs::read_to_string(file).map_err(|error| ManifestError::unreadable(file, &error))?;
        read::parse(&text).map_err(|error| ManifestError::invalid(file, &text, &error))
    }

    /// These, and the others' where these say nothing.
    pub fn over(self, default: &Self) -> Self {
        Self {
            memory: self.memory.over(&default.memory),
            request_time: self.request_time.over(&default.request_time),
            cpu_time: self.cpu_time.over(&default.cpu_time),
            requests: self.requests.over(&default.requests),
            queue: self.queue.over(&default.queue),
            queue_time: self.queue_time.over(&default.queue_time),
            rate: self.rate.over(&default.rate),
            burst: self.burst.over(&default.burst),
            body: self.body.over(&default.body),
            headers: self.headers.over(&default.headers),
            outbound_connections: self.outbound_connections.over(&default.outbound_connections),
            outbound_networks: self.outbound_networks.over(&default.outbound_networks),
            log_rate: self.log_rate.over(&default.log_rate),
            state_size: self.state_size.over(&default.state_size),
        }
    }
}
