//! What the daemon says of its apps, on its admin socket.

use std::net::SocketAddr;
use std::path::Path;

use serde_json::Value;

use super::client::{Connection, Result};

/// The status of one app. Members that are absent or null are `None`, so that a scenario depends on those it names only.
#[derive(Debug, Clone)]
pub struct AppStatus(Value);

impl AppStatus {
    pub fn state(&self) -> &str {
        self.member("state").unwrap_or_default()
    }

    pub fn digest(&self) -> Option<&str> {
        self.member("digest")
    }

    pub fn error(&self) -> &str {
        self.member("error").unwrap_or_default()
    }

    pub fn next_try(&self) -> Option<&str> {
        self.member("next_try")
    }

    pub fn since(&self) -> Option<&str> {
        self.member("since")
    }

    /// The real address; panics for anything but TCP.
    pub fn address(&self) -> SocketAddr {
        let text = self.member("address").unwrap_or_default();
        text.parse()
            .unwrap_or_else(|_| panic!("no address in {}", self.0))
    }

    pub fn member(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }
}

/// The whole status, as the daemon gives it.
pub async fn read(socket: &Path) -> Result<Value> {
    let reply = Connection::open_unix(socket).await?.get("/status").await?;
    if !reply.status.is_success() {
        return Err(format!("the admin socket answered {}", reply.status));
    }
    serde_json::from_slice(&reply.body).map_err(|error| error.to_string())
}

/// One app's part of it.
pub fn app(status: &Value, id: &str) -> Option<AppStatus> {
    status.get("apps")?.get(id).cloned().map(AppStatus)
}
