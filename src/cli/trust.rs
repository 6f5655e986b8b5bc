//! The options for what may run.

use std::path::PathBuf;

use clap::Args;

use crate::errors::chain;
use crate::oci::{Pattern, Policy, TrustedKeys};

#[derive(Debug, Args)]
pub(super) struct TrustArgs {
    /// Refuse apps from elsewhere: a registry (`ghcr.io`, `*.example.com`, or `*`), a part of one (`ghcr.io/owner`), or the words
    /// `oci:` and `oci-archive:` for what is on this machine; may be repeated [default: from anywhere]
    #[arg(long, value_name = "PATTERN")]
    allow_registry: Vec<Pattern>,
    /// Refuse references that have no digest
    #[arg(long)]
    require_digest: bool,
    /// Refuse apps without a cosign signature by a public key (PEM) that is for them; with a PATTERN, as above, it is for what
    /// that means alone; may be repeated
    #[arg(long, value_name = "[PATTERN=]FILE", value_parser = keys)]
    cosign_key: Vec<TrustedKeys>,
    /// Repositories that signatures may be for, besides the one that an app comes from: where a mirror got it; may be repeated
    #[arg(long, value_name = "PATTERN", value_parser = identity, requires = "cosign_key")]
    cosign_identity: Vec<Pattern>,
}

impl TrustArgs {
    pub(super) fn policy(self) -> Policy {
        Policy {
            allowed: self.allow_registry,
            require_digest: self.require_digest,
            keys: self.cosign_key,
            identities: self.cosign_identity,
        }
    }
}

fn keys(text: &str) -> Result<TrustedKeys, String> {
    text.parse::<TrustedKeys>().map_err(|error| chain(&error))
}

/// Gives the file's path where `at` says that it is.
pub(super) fn located(text: &str, at: impl Fn(&str) -> Result<PathBuf, String>) -> Result<String, String> {
    Ok(match text.rsplit_once('=') {
        Some((pattern, file)) => format!("{pattern}={}", at(file)?.display()),
        None => at(text)?.display().to_string(),
    })
}

fn identity(text: &str) -> Result<Pattern, String> {
    let pattern: Pattern = text.parse().map_err(|error| chain(&error))?;
    match pattern.is_local() {
        true => Err(
            "signatures are for repositories of registries: name one, such as \"ghcr.io/owner\"".to_owned(),
        ),
        false => Ok(pattern),
    }
}
