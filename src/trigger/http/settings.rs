//! What the operator sets for every listener.

use std::time::Duration;

/// How connections are handled, at every address.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// How long a client may take for the head of a request.
    pub header_timeout: Duration,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            header_timeout: Duration::from_secs(30),
        }
    }
}
