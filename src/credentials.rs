//! Credentials that the service manager hands over: `credential:NAME` is the file NAME in `$CREDENTIALS_DIRECTORY`, as
//! systemd's `LoadCredential=` and `SetCredentialEncrypted=` make it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

const PREFIX: &str = "credential:";
const DIRECTORY: &str = "CREDENTIALS_DIRECTORY";

/// Why a credential has no file.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    #[error(
        "{PREFIX}{0} names a credential, and the service manager gave none ({DIRECTORY} is not set): add LoadCredential={0}:PATH to the unit"
    )]
    NoDirectory(String),
    #[error("{PREFIX}{0} is no name of a credential: it has to be one name, without a slash")]
    Name(String),
}

/// The file of `credential:NAME`; `None` for any other path.
pub fn find(path: &str) -> Option<Result<PathBuf, CredentialError>> {
    find_in(path, std::env::var_os(DIRECTORY))
}

/// The file that `path` names: a credential, or a path that is relative to `base`.
pub fn or_file(path: &str, base: &Path) -> Result<PathBuf, CredentialError> {
    find(path).unwrap_or_else(|| Ok(base.join(path)))
}

fn find_in(path: &str, directory: Option<OsString>) -> Option<Result<PathBuf, CredentialError>> {
    let name = path.strip_prefix(PREFIX)?;
    if matches!(name, "" | "." | "..") || name.contains('/') {
        return Some(Err(CredentialError::Name(name.to_owned())));
    }
    let directory = directory.filter(|directory| !directory.is_empty());
    let directory = directory.ok_or_else(|| CredentialError::NoDirectory(name.to_owned()));
    Some(directory.map(|directory| PathBuf::from(directory).join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_is_a_file_of_the_managers_directory() {
        let directory = Some(OsString::from("/run/credentials/tauon.service"));
        let found = |path| find_in(path, directory.clone());
        assert_eq!(
            found("credential:token"),
            Some(Ok("/run/credentials/tauon.service/token".into()))
        );
        assert_eq!(found("/etc/token"), None);
        for name in ["", "..", "a/b", "/etc/shadow"] {
            let refused = Some(Err(CredentialError::Name(name.into())));
            assert_eq!(find_in(&format!("credential:{name}"), directory.clone()), refused);
        }
        let absent = find_in("credential:token", None).unwrap().unwrap_err();
        assert!(
            absent.to_string().contains("LoadCredential=token:PATH"),
            "{absent}"
        );
    }
}
