//! Credentials for a registry, in the order of `docs/contract/oci.md` §7: Spin's own file, Docker's config, none.
//!
//! Files and helpers are asked anew for every token, so that a `login` beside a running daemon takes effect.

mod docker;
mod helper;
mod keep;

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

/// Spin's file below the user's configuration directory.
const SPIN_FILE: &str = "fermyon/registry-auth.json";
/// Docker's file below its configuration directory.
const DOCKER_FILE: &str = "config.json";

/// Where credentials are looked up.
#[derive(Debug, Clone, Default)]
pub struct CredentialSources {
    /// Spin's flat map of hosts; `None`: not looked at.
    pub spin_file: Option<PathBuf>,
    /// Docker's `config.json`; `None`: not looked at.
    pub docker_file: Option<PathBuf>,
}

/// What proves who asks.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Password {
        user: String,
        password: String,
    },
    /// An OAuth 2 refresh token.
    IdentityToken(String),
}

/// A secret and where it was found.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    pub(crate) secret: Secret,
    /// A file, or a helper and the file that names it.
    pub(crate) origin: String,
}

impl Credential {
    /// Who it is and where it is from, for messages: never the secret.
    pub(crate) fn describe(&self) -> String {
        match &self.secret {
            Secret::Password { user, .. } => format!("user {user:?} from {}", self.origin),
            Secret::IdentityToken(_) => format!("an identity token from {}", self.origin),
        }
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.describe())
    }
}

impl CredentialSources {
    /// The files of the user who runs the process: `$XDG_CONFIG_HOME`, `$DOCKER_CONFIG`, `$HOME`.
    pub fn from_env() -> CredentialSources {
        let docker = std::env::var_os("DOCKER_CONFIG")
            .filter(|dir| !dir.is_empty())
            .map(PathBuf::from);
        let docker = docker.or_else(|| dirs::home_dir().map(|home| home.join(".docker")));
        CredentialSources {
            spin_file: dirs::config_dir().map(|dir| dir.join(SPIN_FILE)),
            docker_file: docker.map(|dir| dir.join(DOCKER_FILE)),
        }
    }

    /// Whether Docker's configuration names a helper now, which is a program to run.
    pub fn names_helper(&self) -> bool {
        let file = self.docker_file.as_deref();
        file.is_some_and(docker::names_helper)
    }

    /// The credential for `host` (with port, Docker's hub as `index.docker.io`); `None` means anonymous. What can't be
    /// read is logged and counts as absent.
    pub(crate) async fn find(&self, host: &str) -> Option<Credential> {
        if let Some(file) = &self.spin_file
            && let Some(credential) = from_spin(file, host).await
        {
            return Some(credential);
        }
        docker::find(self.docker_file.as_deref()?, host).await
    }

    /// The files, for the message that says nothing was found in them.
    pub(crate) fn describe(&self) -> String {
        let files = [&self.spin_file, &self.docker_file];
        let files: Vec<String> = files
            .into_iter()
            .flatten()
            .map(|file| file.display().to_string())
            .collect();
        if files.is_empty() {
            "no file".to_owned()
        } else {
            files.join(" and ")
        }
    }
}

/// Spin's file: host to base64 of `user:password`.
#[derive(Deserialize)]
struct SpinFile {
    auths: HashMap<String, String>,
}

async fn from_spin(file: &Path, host: &str) -> Option<Credential> {
    let bytes = read(file).await?;
    let parsed: SpinFile = match serde_json::from_slice(&bytes) {
        Ok(parsed) => parsed,
        Err(error) => {
            tracing::warn!(file = %file.display(), %error, "registry credentials ignored: the file is not valid");
            return None;
        }
    };
    let encoded = parsed.auths.get(host)?;
    let Some((user, password)) = decode(encoded) else {
        tracing::warn!(file = %file.display(), host, "registry credentials ignored: not base64 of user:password");
        return None;
    };
    Some(Credential {
        secret: Secret::Password { user, password },
        origin: file.display().to_string(),
    })
}

fn decode(encoded: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    text.split_once(':')
        .map(|(user, password)| (user.to_owned(), password.to_owned()))
}

/// The file's bytes; absent is normal, unreadable is logged.
async fn read(file: &Path) -> Option<Vec<u8>> {
    match tokio::fs::read(file).await {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            if error.kind() != std::io::ErrorKind::NotFound {
                tracing::warn!(file = %file.display(), %error, "registry credentials ignored: the file is unreadable");
            }
            None
        }
    }
}

#[cfg(test)]
mod tests;
