//! The directories that the service manager made for this process alone.

use std::ffi::OsString;
use std::path::PathBuf;

/// Below `StateDirectory=`: what is remembered, and the apps' own directories.
const DATA: &str = "data";
const APPS: &str = "apps";
/// Below `RuntimeDirectory=`.
const SOCKET: &str = "admin.sock";

/// What `StateDirectory=`, `CacheDirectory=` and `RuntimeDirectory=` of a unit are used for, where no option says otherwise.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ServiceDirectories {
    pub data: Option<PathBuf>,
    pub state_root: Option<PathBuf>,
    pub cache: Option<PathBuf>,
    pub socket: Option<PathBuf>,
}

impl ServiceDirectories {
    pub fn from_environment() -> Self {
        Self::read(|name| std::env::var_os(name))
    }

    fn read(environment: impl Fn(&str) -> Option<OsString>) -> Self {
        // A unit may name several, separated by colons: the first is meant.
        let first = |name| {
            let value = environment(name)?;
            let first = std::env::split_paths(&value).next();
            first.filter(|path| path.is_absolute())
        };
        let state = first("STATE_DIRECTORY");
        Self {
            data: state.as_ref().map(|state| state.join(DATA)),
            state_root: state.map(|state| state.join(APPS)),
            cache: first("CACHE_DIRECTORY"),
            socket: first("RUNTIME_DIRECTORY").map(|runtime| runtime.join(SOCKET)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_directory_of_each_kind_is_used() {
        let unit = |name: &str| match name {
            "STATE_DIRECTORY" => Some("/var/lib/tauon:/var/lib/other".into()),
            "CACHE_DIRECTORY" => Some("/var/cache/tauon".into()),
            _ => None,
        };
        let directories = ServiceDirectories::read(unit);
        assert_eq!(directories.data, Some("/var/lib/tauon/data".into()));
        assert_eq!(directories.state_root, Some("/var/lib/tauon/apps".into()));
        assert_eq!(directories.cache, Some("/var/cache/tauon".into()));
        assert_eq!(directories.socket, None);
        assert_eq!(
            ServiceDirectories::read(|_| Some("".into())),
            ServiceDirectories::default()
        );
    }
}
