//! An address as written to one that can be listened on.

use std::time::Duration;

use tokio::net::lookup_host;
use tokio::time::timeout;

use super::launcher::{LaunchError, ResolvedAddress};
use crate::manifest::Address;

/// A name server that does not answer is a failure that is tried again, not a wait.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Resolves the name, if it is one. Of several addresses, the first IPv4 one: that is what the same name means to
/// most clients.
pub(crate) async fn resolve(address: &Address) -> Result<ResolvedAddress, LaunchError> {
    let (host, port) = match address {
        Address::Tcp(socket) => return Ok(ResolvedAddress::Tcp(*socket)),
        Address::Unix(path) => return Ok(ResolvedAddress::Unix(path.clone())),
        Address::Absent => return Ok(ResolvedAddress::Absent),
        Address::Name { host, port } => (host.as_str(), *port),
    };
    let failed = |reason: String| {
        LaunchError::other(format!(
            "{host:?} can't be resolved: {reason}; an IP address needs no name server"
        ))
    };
    let found = timeout(LOOKUP_TIMEOUT, lookup_host((host, port))).await;
    let found: Vec<_> = found
        .map_err(|_| {
            failed(format!(
                "no answer within {}",
                humantime::format_duration(LOOKUP_TIMEOUT)
            ))
        })?
        .map_err(|e| failed(e.to_string()))?
        .collect();
    let first = found.iter().find(|socket| socket.is_ipv4()).or(found.first());
    first
        .map(|socket| ResolvedAddress::Tcp(*socket))
        .ok_or_else(|| failed("it has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn localhost_resolves_and_an_impossible_name_does_not() {
        let name = |host: &str| Address::Name {
            host: host.to_owned(),
            port: 80,
        };
        let ResolvedAddress::Tcp(socket) = resolve(&name("localhost")).await.unwrap() else {
            panic!()
        };
        assert!(socket.ip().is_loopback() && socket.port() == 80);
        let error = resolve(&name("no-such-host.invalid")).await.unwrap_err();
        assert!(error.message.contains("no-such-host.invalid"), "{error}");
    }
}
