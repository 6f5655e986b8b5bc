//! Where may be written, for errors that say more than "permission denied".

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Rules;

/// The places that a confined process may write. Clones are cheap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Writable {
    /// `None`: the process is not confined.
    places: Option<Arc<Places>>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Places {
    directories: Vec<PathBuf>,
    sockets: Vec<PathBuf>,
}

/// A path that an app file names, and that this process can't write.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {} is outside of what the daemon may write ({}): choose another, or start the daemon with --allow-write {}", path.display(), listed(.allowed), directory.display())]
pub struct NotWritable {
    /// What it was to be.
    what: &'static str,
    path: PathBuf,
    directory: PathBuf,
    allowed: Vec<PathBuf>,
}

fn listed(paths: &[PathBuf]) -> String {
    let mut text = String::new();
    for (number, path) in paths.iter().enumerate() {
        let comma = if number == 0 { "" } else { ", " };
        // Writing to a string does not fail.
        let _ = write!(text, "{comma}{}", path.display());
    }
    text
}

impl Writable {
    /// The process is not confined.
    pub fn everywhere() -> Self {
        Self { places: None }
    }

    /// As the rules say.
    pub fn below(rules: &Rules) -> Self {
        let real = |paths: &[PathBuf]| {
            let mut found: Vec<PathBuf> = Vec::new();
            for path in paths.iter().map(|path| real(path)) {
                if !found.contains(&path) {
                    found.push(path);
                }
            }
            found
        };
        let directories = real(&rules.writable);
        let mut sockets = real(&rules.sockets);
        sockets.extend(directories.iter().cloned());
        Self {
            places: Some(Arc::new(Places { directories, sockets })),
        }
    }

    /// Whether the directory, or the directory of the file, may be written; `what` is for the error.
    ///
    /// # Errors
    /// It may not.
    pub fn check(&self, what: &'static str, path: &Path) -> Result<(), NotWritable> {
        self.places
            .as_ref()
            .map_or(Ok(()), |places| inside(what, path, &places.directories))
    }

    /// The same for the file of a Unix socket.
    ///
    /// # Errors
    /// It can't be made there.
    pub fn check_socket(&self, path: &Path) -> Result<(), NotWritable> {
        self.places
            .as_ref()
            .map_or(Ok(()), |places| inside("the socket", path, &places.sockets))
    }
}

fn inside(what: &'static str, path: &Path, allowed: &[PathBuf]) -> Result<(), NotWritable> {
    let place = real(path);
    if allowed.iter().any(|directory| place.starts_with(directory)) {
        return Ok(());
    }
    let directory = match place.is_dir() {
        true => place.as_path(),
        false => place.parent().unwrap_or(&place),
    };
    Err(NotWritable {
        what,
        path: path.to_owned(),
        directory: directory.to_owned(),
        allowed: allowed.to_vec(),
    })
}

/// Where a path leads: links are followed, as far as there is something.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    for ancestor in path.ancestors() {
        if let Ok(found) = ancestor.canonicalize() {
            let rest = path.strip_prefix(ancestor).unwrap_or(Path::new(""));
            // Joined with nothing, it would end with a slash.
            return if rest.as_os_str().is_empty() {
                found
            } else {
                found.join(rest)
            };
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_outside_is_told_with_the_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("state");
        let elsewhere = dir.path().join("elsewhere");
        let run = dir.path().join("run");
        for made in [&inside, &elsewhere, &run] {
            std::fs::create_dir(made).unwrap();
        }
        std::os::unix::fs::symlink(&elsewhere, inside.join("link")).unwrap();
        let writable = Writable::below(&Rules {
            writable: vec![inside.clone(), dir.path().join("state/.")],
            sockets: vec![run.clone()],
            ..Rules::default()
        });
        writable.check("x", &inside.join("a/b")).unwrap();
        writable.check_socket(&run.join("s")).unwrap();
        writable.check_socket(&inside.join("s")).unwrap();
        assert!(writable.check("x", &run.join("s")).is_err());
        for outside in [elsewhere.join("a"), inside.join("link/a"), inside.join("../a")] {
            let error = writable
                .check("the state directory", &outside)
                .unwrap_err()
                .to_string();
            assert!(error.starts_with("the state directory "), "{error}");
            assert!(error.contains("--allow-write "), "{error}");
            let allowed = format!("({})", inside.canonicalize().unwrap().display());
            assert!(error.contains(&allowed), "{error}");
        }
        Writable::everywhere().check("x", Path::new("/etc/x")).unwrap();
    }
}
