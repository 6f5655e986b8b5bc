//! Credentials of registries.

use anyhow::Result;

use super::ArtifactSettings;
use crate::oci::{CredentialSources, Login};

/// Has a registry verify credentials, and keeps them. Gives the places where they are kept, and whether they were asked for: a
/// registry that lets everybody in proves nothing.
///
/// # Errors
/// The registry refuses them or can't be asked, and nothing is kept; or they can't be kept.
pub async fn log_in(
    host: &str,
    user: &str,
    password: &str,
    settings: &ArtifactSettings,
) -> Result<(Vec<String>, bool)> {
    let login = login(settings)?;
    let asked = login.verify(host, user, password).await?;
    Ok((login.keep(host, user, password).await?, asked))
}

/// Removes what is kept for a registry. Gives the places where that was; none: there was nothing.
///
/// # Errors
/// A place can't be changed.
pub async fn log_out(host: &str) -> Result<Vec<String>> {
    Ok(login(&ArtifactSettings::default())?.forget(host).await?)
}

fn login(settings: &ArtifactSettings) -> Result<Login> {
    Ok(Login::new(
        CredentialSources::from_env(),
        settings.insecure_registries.clone(),
        &settings.registry_ca,
    )?)
}
