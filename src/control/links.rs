//! Which app files are links, and where they lead: their targets change without an event in the directory itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The links among the app files.
#[derive(Debug, Default)]
pub(crate) struct Links {
    targets: HashMap<String, PathBuf>,
    names: HashMap<PathBuf, BTreeSet<String>>,
}

impl Links {
    /// Looks where the file `name` leads; several steps are followed to their end.
    pub(crate) fn note(&mut self, dir: &Path, name: &str) {
        let file = dir.join(name);
        let is_link = std::fs::symlink_metadata(&file).is_ok_and(|metadata| metadata.is_symlink());
        let target = if is_link { file.canonicalize().ok() } else { None };
        if self.targets.get(name) == target.as_ref() {
            return;
        }
        self.forget(name);
        if let Some(target) = target {
            self.names
                .entry(target.clone())
                .or_default()
                .insert(name.to_owned());
            self.targets.insert(name.to_owned(), target);
        }
    }

    /// The file is gone.
    pub(crate) fn forget(&mut self, name: &str) {
        let Some(target) = self.targets.remove(name) else {
            return;
        };
        if let Some(names) = self.names.get_mut(&target) {
            names.remove(name);
            if names.is_empty() {
                self.names.remove(&target);
            }
        }
    }

    /// The app files that lead to this path.
    pub(crate) fn leading_to(&self, target: &Path) -> Vec<String> {
        self.names.get(target).into_iter().flatten().cloned().collect()
    }

    /// The directories in which targets lie.
    pub(crate) fn dirs(&self) -> HashSet<&Path> {
        self.names.keys().filter_map(|target| target.parent()).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_is_found_from_its_target_until_it_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        fs::create_dir(root.join("v1")).unwrap();
        fs::write(root.join("v1/a.json"), "{}").unwrap();
        symlink("v1", root.join("..data")).unwrap();
        symlink("..data/a.json", root.join("a.json")).unwrap();
        let mut links = Links::default();
        links.note(&root, "a.json");
        links.note(&root, "plain.json");
        assert_eq!(links.leading_to(&root.join("v1/a.json")), ["a.json"]);
        assert_eq!(links.dirs(), HashSet::from([root.join("v1").as_path()]));
        links.forget("a.json");
        assert!(links.dirs().is_empty());
    }
}
