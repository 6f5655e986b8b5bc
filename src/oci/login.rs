//! Logging in to a registry and out again: credentials are verified, then kept where they will be looked for.

use std::path::PathBuf;

use super::auth::{Credential, CredentialSources, Secret};
use super::client::Client;
use super::error::OciError;

/// The hub's other names; it answers at [`HUB`].
const HUB_NAMES: [&str; 2] = ["docker.io", "registry-1.docker.io"];
const HUB: &str = "index.docker.io";

/// Where credentials are verified and kept.
pub struct Login {
    client: Client,
    sources: CredentialSources,
}

impl Login {
    /// `insecure` and `registry_ca` are as in [`PullerConfig`](super::PullerConfig). Touches no network.
    ///
    /// # Errors
    /// [`OciError::Setting`] for a certificate file that is not usable.
    pub fn new(
        sources: CredentialSources,
        insecure: Vec<String>,
        registry_ca: &[PathBuf],
    ) -> Result<Login, OciError> {
        let client = Client::new(insecure, registry_ca, sources.clone())?;
        Ok(Login { client, sources })
    }

    /// Whether the registry accepts them; `false`: it asks nobody for any, so that they prove nothing.
    ///
    /// # Errors
    /// The registry refuses them, or can't be asked.
    pub async fn verify(&self, host: &str, user: &str, password: &str) -> Result<bool, OciError> {
        let credential = Credential {
            secret: Secret::Password {
                user: user.to_owned(),
                password: password.to_owned(),
            },
            origin: "the command line".to_owned(),
        };
        self.client.login(host, &credential).await
    }

    /// Keeps them in Docker's configuration, or with the helper that it names; in Spin's file too, where that has some for the
    /// host, since it is asked first. Gives the places.
    ///
    /// # Errors
    /// A place that can't be changed; files are as they were.
    pub async fn keep(&self, host: &str, user: &str, password: &str) -> Result<Vec<String>, OciError> {
        self.sources.keep(host, user, password).await
    }

    /// Removes what is kept for the host. Gives the places; none: there was nothing.
    ///
    /// # Errors
    /// A place that can't be changed.
    pub async fn forget(&self, host: &str) -> Result<Vec<String>, OciError> {
        self.sources.forget(host).await
    }
}

/// The host of what a user calls a registry, with its port: `ghcr.io`, `https://localhost:5000/`, `docker.io`.
///
/// # Errors
/// What is wrong with it, and a good one.
pub fn registry_host(text: &str) -> Result<String, String> {
    let bad = |problem: &str| format!("{text:?} {problem}; a good one is \"ghcr.io\"");
    let rest = text.trim_start_matches("https://").trim_start_matches("http://");
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    // A registry's API, as some tools write it.
    if !matches!(path.trim_matches('/'), "" | "v1" | "v2") {
        return Err(bad(
            "names a repository, and credentials are for a whole registry",
        ));
    }
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']');
    if host.is_empty() || !host.chars().all(good) {
        return Err(bad("is no host name with an optional port"));
    }
    let host = host.to_ascii_lowercase();
    match HUB_NAMES.contains(&host.as_str()) {
        true => Ok(HUB.to_owned()),
        false => Ok(host),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_may_be_written_as_people_do() {
        for (written, host) in [
            ("ghcr.io", "ghcr.io"),
            ("https://GHCR.io/", "ghcr.io"),
            ("http://localhost:5000/v2/", "localhost:5000"),
            ("[::1]:5000", "[::1]:5000"),
            ("docker.io", "index.docker.io"),
            ("https://index.docker.io/v1/", "index.docker.io"),
        ] {
            assert_eq!(registry_host(written).as_deref(), Ok(host), "{written}");
        }
        assert!(
            registry_host("ghcr.io/me/app:v1")
                .unwrap_err()
                .contains("repository")
        );
        assert!(registry_host("").unwrap_err().contains("ghcr.io"));
        assert!(registry_host("user@host").unwrap_err().contains("host name"));
    }
}
