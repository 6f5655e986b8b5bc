//! Docker's `config.json`: helpers of single hosts, entries in the file, the helper for all hosts.
//!
//! The entries are read by `docker_credential`. Helpers are run by ourselves: that crate would block a thread for as
//! long as a helper hangs.

use std::path::Path;

use docker_credential::{CredentialRetrievalError, DockerCredential};
use serde_json::{Map, Value};

use super::{Credential, Secret, helper, read};

const HUB: &str = "index.docker.io";
/// The name by which Docker's own tools file the hub's credentials with helpers.
const HUB_KEY: &str = "https://index.docker.io/v1/";
/// Other names of the hub in `credHelpers`.
const HUB_ALIASES: [&str; 4] = [HUB, "docker.io", "registry-1.docker.io", HUB_KEY];

pub(super) async fn find(file: &Path, host: &str) -> Option<Credential> {
    let bytes = read(file).await?;
    let mut config: Map<String, Value> = match serde_json::from_slice(&bytes) {
        Ok(config) => config,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "registry credentials ignored: the file is not a JSON object");
            return None;
        }
    };
    let for_host = helper_for(&config, host);
    let for_all = helper_for_all(&config);

    if let Some(name) = for_host {
        // A helper that is named for the host is the only one asked about it, as Docker does.
        return helper::ask(&name, helper_key(host), file).await;
    }
    config.remove("credHelpers");
    config.remove("credsStore");
    match from_entries(config, host) {
        Ok(Some(secret)) => {
            return Some(Credential {
                secret,
                origin: file.display().to_string(),
            });
        }
        Ok(None) => {}
        Err(error) => {
            tracing::warn!(file = %file.display(), host, %error, "registry credentials ignored: the entry is not valid");
        }
    }
    helper::ask(&for_all?, helper_key(host), file).await
}

/// Whether the file names a helper, for some hosts or for all.
pub(super) fn names_helper(file: &Path) -> bool {
    let config = std::fs::read(file).ok();
    let config = config.and_then(|bytes| serde_json::from_slice::<Value>(&bytes).ok());
    config.is_some_and(|config| {
        let for_all = config.get("credsStore").and_then(Value::as_str);
        let for_some = config.get("credHelpers").and_then(Value::as_object);
        for_all.is_some_and(|name| !name.is_empty()) || for_some.is_some_and(|hosts| !hosts.is_empty())
    })
}

fn helper_for(config: &Map<String, Value>, host: &str) -> Option<String> {
    let helpers = config.get("credHelpers")?.as_object()?;
    let names: &[&str] = if host == HUB { &HUB_ALIASES } else { &[host] };
    let name = names.iter().find_map(|name| helpers.get(*name)?.as_str())?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// The helper that a host's credentials belong to: its own, or that for all hosts.
pub(super) fn helper_of(config: &Map<String, Value>, host: &str) -> Option<String> {
    helper_for(config, host).or_else(|| helper_for_all(config))
}

fn helper_for_all(config: &Map<String, Value>) -> Option<String> {
    let name = config.get("credsStore").and_then(Value::as_str);
    name.filter(|name| !name.is_empty()).map(str::to_owned)
}

/// The host that a key of `auths` is for, as [`Reference::host`](super::super::reference::Reference::host) has it.
pub(super) fn host_of(key: &str) -> &str {
    let rest = key
        .strip_prefix("https://")
        .or_else(|| key.strip_prefix("http://"))
        .unwrap_or(key);
    let host = rest.split('/').next().unwrap_or(rest);
    if HUB_ALIASES.contains(&host) { HUB } else { host }
}

/// The name of a host in Docker's configuration and for helpers.
pub(super) fn helper_key(host: &str) -> &str {
    if host == HUB { HUB_KEY } else { host }
}

fn from_entries(config: Map<String, Value>, host: &str) -> Result<Option<Secret>, CredentialRetrievalError> {
    match docker_credential::get_credential_from_reader(Value::Object(config).to_string().as_bytes(), host) {
        Ok(DockerCredential::UsernamePassword(user, password)) => {
            Ok(Some(Secret::Password { user, password }))
        }
        Ok(DockerCredential::IdentityToken(token)) => Ok(Some(Secret::IdentityToken(token))),
        Err(CredentialRetrievalError::NoCredentialConfigured) => Ok(None),
        Err(error) => Err(error),
    }
}
