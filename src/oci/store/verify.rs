//! Damage: found by hashing, and removed so that what is missing is fetched or made again.
//!
//! Content appears whole and never changes, so that hashing needs no lock and holds nobody up. What is found damaged is looked at
//! once more, and removed, under the lock for pruning.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::digest::Digest;
use super::super::unpack::is_list;
use super::{ARCHIVES, BLOBS, Store, StoreError, hash_file, lock, prune};

/// How long somebody who adds content is waited for, and how often it is tried.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(100);

/// Something of the store that is not what it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Damage {
    /// Relative to the store's root.
    pub path: PathBuf,
    /// What is wrong with it.
    pub reason: String,
    /// Why it is still there; `None`: it has been removed.
    pub kept: Option<String>,
}

impl Store {
    /// Hashes all fetched content, and removes what is damaged. `each` is told the bytes of every file looked at.
    ///
    /// # Errors
    /// When a directory can't be listed, or the lock can't be had.
    pub fn verify(&self, each: &mut dyn FnMut(u64)) -> Result<Vec<Damage>, StoreError> {
        let mut found = self.verify_area(Path::new(BLOBS), each, &|path| {
            damage_of_blob(path).filter(|_| path.exists())
        })?;
        found.extend(self.verify_area(Path::new(ARCHIVES), each, &|path| {
            let text = std::fs::read_to_string(path).unwrap_or_default();
            (!is_list(&text) && path.exists()).then(|| "it is no list of blobs".to_owned())
        })?);
        Ok(found)
    }

    /// The same for everything directly in a directory; `damage` says what is wrong with one of them.
    pub(crate) fn verify_area(
        &self,
        area: &Path,
        each: &mut dyn FnMut(u64),
        damage: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<Vec<Damage>, StoreError> {
        let dir = self.root().join(area);
        let entries = match std::fs::read_dir(&dir) {
            Ok(entries) => entries,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(StoreError::io("list", dir)(e)),
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.map_err(StoreError::io("list", &dir))?.path();
            if let Some(reason) = damage(&path) {
                found.extend(self.remove_damaged(&path, reason, damage)?);
            }
            each(path.symlink_metadata().map_or(0, |metadata| metadata.len()));
        }
        Ok(found)
    }

    /// `None`: it has gone, or been replaced, in the meantime.
    fn remove_damaged(
        &self,
        path: &Path,
        reason: String,
        damage: &dyn Fn(&Path) -> Option<String>,
    ) -> Result<Option<Damage>, StoreError> {
        let mut found = Damage {
            path: path.strip_prefix(self.root()).unwrap_or(path).to_owned(),
            reason,
            kept: None,
        };
        let Some(_lock) = self.lock_for_removal()? else {
            found.kept = Some("the store is in use; try again later".to_owned());
            return Ok(Some(found));
        };
        // Files that a guest may be reading by their names.
        if path.is_dir() && self.has_other_users() && self.pinned()?.protects(&found.path) {
            found.kept =
                Some("an app may be reading it; stop the daemons on this cache and verify again".to_owned());
            return Ok(Some(found));
        }
        if damage(path).is_none() {
            return Ok(None);
        }
        prune::remove(path).map_err(StoreError::io("remove", path))?;
        Ok(Some(found))
    }

    /// `None`: others went on adding content all the time.
    fn lock_for_removal(&self) -> Result<Option<std::fs::File>, StoreError> {
        let begun = Instant::now();
        loop {
            match lock::try_exclusive(self)? {
                None if begun.elapsed() < PATIENCE => std::thread::sleep(PAUSE),
                lock => return Ok(lock),
            }
        }
    }

    /// Whether another process has the store open.
    fn has_other_users(&self) -> bool {
        self.0.session.has_others()
    }
}

/// What is wrong with a file that is named by the sha256 of its content.
pub(crate) fn damage_of_blob(path: &Path) -> Option<String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let Ok(expected) = Digest::parse(&format!("sha256:{name}")) else {
        return Some("its name is not the sha256 of anything".to_owned());
    };
    match hash_file(path) {
        Ok(actual) if actual == expected => None,
        Ok(actual) => Some(format!("its content has the digest {actual}")),
        Err(error) => Some(format!("it can't be read ({error})")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn overwrite(path: &Path, content: &[u8]) {
        fs::remove_file(path).unwrap();
        fs::write(path, content).unwrap();
    }

    #[test]
    fn what_is_damaged_is_removed_and_all_else_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let (good, bad) = (store.put(b"good").unwrap(), store.put(b"bad").unwrap());
        overwrite(&store.path(&bad), b"dab");
        let layer = Digest::of(b"layer");
        fs::write(store.archive_list(&layer), "nonsense\n").unwrap();
        let mut bytes = 0;
        let found = store.verify(&mut |size| bytes += size).unwrap();
        let removed: Vec<_> = found.iter().map(|damage| damage.path.clone()).collect();
        let list = Path::new(ARCHIVES).join(layer.hex());
        assert_eq!(removed, [Path::new(BLOBS).join(bad.hex()), list]);
        assert!(found[0].reason.contains("digest sha256:") && found[0].kept.is_none());
        assert!(store.path(&good).exists() && !store.path(&bad).exists());
        assert!(bytes >= 4);
        assert!(store.verify(&mut |_| ()).unwrap().is_empty());
    }

    #[test]
    fn a_damaged_tree_that_is_in_use_stays() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let tree = Path::new("trees/some");
        fs::create_dir_all(dir.path().join(tree)).unwrap();
        store
            .pin("daemon", "app", &[super::super::Pin::Path(tree.to_owned())])
            .unwrap();
        let daemon = Store::open(dir.path()).unwrap();
        let verify = || {
            let damage = |_: &Path| Some("it is damaged".to_owned());
            store
                .verify_area(Path::new("trees"), &mut |_| (), &damage)
                .unwrap()
        };
        assert!(verify()[0].kept.is_some() && dir.path().join(tree).exists());
        drop(daemon);
        assert!(verify()[0].kept.is_none() && !dir.path().join(tree).exists());
    }
}
