//! One look at the directory, or at one file in it. Nothing here remembers anything.

use std::fs::{self, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::manifest::ManifestError;

const SUFFIX: &str = ".json";
/// Larger files are something else: an app file is a few hundred bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// Two writes within one tick of the file system's clock leave one time stamp; so long is a stamp no proof.
const STAMP_DOUBT: Duration = Duration::from_secs(1);

/// Which content a file has, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(metadata: &Metadata) -> Stamp {
        Stamp {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    /// Whether both are one file under two names: renaming changes nothing but the time of change.
    pub(crate) fn is_same_file(&self, other: &Stamp) -> bool {
        Stamp {
            changed: other.changed,
            ..*self
        } == *other
    }
}

/// What stands under a name.
#[derive(Debug)]
pub(crate) enum Found {
    /// A file that was read.
    Text {
        stamp: Stamp,
        /// The stamp proves that the content is unchanged; a stamp younger than the clock's tick does not.
        proof: bool,
        text: String,
    },
    /// Something that can't be read: no permission, or a link that leads nowhere.
    Unreadable(ManifestError),
    /// Nothing.
    Missing,
    /// A directory, a pipe, a socket: not an app's file.
    Other,
}

/// Whether a name in the directory is an app's: dotfiles and editors' temporaries are not.
pub(crate) fn is_app_file(name: &str) -> bool {
    !name.starts_with('.') && name.len() > SUFFIX.len() && name.ends_with(SUFFIX)
}

/// Every app file's name, sorted.
///
/// # Errors
/// The directory can't be listed to its end: nothing is known about what it lacks.
pub(crate) fn list(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        // A name that is no UTF-8 can't be an app's id.
        if let Ok(name) = entry?.file_name().into_string()
            && is_app_file(&name)
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Which directory stands under the path; it may be replaced by another.
pub(crate) fn identity(dir: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::metadata(dir)?;
    Ok((metadata.dev(), metadata.ino()))
}

/// The file's stamp, as far as there is a file.
pub(crate) fn stamp(file: &Path) -> Option<Stamp> {
    fs::metadata(file)
        .ok()
        .filter(Metadata::is_file)
        .map(|metadata| Stamp::of(&metadata))
}

/// Reads one file.
pub(crate) fn look(file: &Path) -> Found {
    match read(file) {
        Ok(found) => found,
        // The target of a link may be missing while the name is there: only the name counts.
        Err(e) if e.kind() == io::ErrorKind::NotFound && fs::symlink_metadata(file).is_err() => {
            Found::Missing
        }
        Err(e) => Found::Unreadable(ManifestError::unreadable(file, &e)),
    }
}

fn read(path: &Path) -> io::Result<Found> {
    // Asked before opening: opening a pipe would wait for its writer.
    if !fs::metadata(path)?.is_file() {
        return Ok(Found::Other);
    }
    let read_at = SystemTime::now();
    let file = fs::File::open(path)?;
    // Of the open file: the name may lead to another one by now.
    let metadata = file.metadata()?;
    let mut text = String::new();
    file.take(MAX_FILE_BYTES + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE_BYTES {
        let (file, limit) = (path.to_owned(), MAX_FILE_BYTES);
        return Ok(Found::Unreadable(ManifestError::TooLarge { file, limit }));
    }
    let age = metadata
        .modified()
        .ok()
        .and_then(|modified| read_at.duration_since(modified).ok());
    let proof = age.is_some_and(|age| age > STAMP_DOUBT);
    let stamp = Stamp::of(&metadata);
    Ok(Found::Text { stamp, proof, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_visible_json_files_are_apps() {
        for name in ["a.json", "a.b.json", "ä.json"] {
            assert!(is_app_file(name), "{name}");
        }
        for name in [
            ".json",
            ".a.json",
            "a.json~",
            "a.json.swp",
            "#a.json#",
            "a.JSON",
            "4913",
            "..data",
            "json",
        ] {
            assert!(!is_app_file(name), "{name}");
        }
    }

    #[test]
    fn a_rename_keeps_the_stamp_and_an_edit_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a.json"), dir.path().join("b.json"));
        fs::write(&a, "1").unwrap();
        let before = stamp(&a).unwrap();
        fs::rename(&a, &b).unwrap();
        assert!(before.is_same_file(&stamp(&b).unwrap()));
        fs::write(&b, "12").unwrap();
        assert!(!before.is_same_file(&stamp(&b).unwrap()));
        assert!(stamp(&a).is_none());
    }

    #[test]
    fn what_is_no_readable_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        fs::create_dir(path("d.json")).unwrap();
        std::os::unix::fs::symlink("nowhere", path("l.json")).unwrap();
        fs::write(path("bin.json"), [0xff, 0xfe]).unwrap();
        fs::write(path("big.json"), vec![b' '; (MAX_FILE_BYTES + 1) as usize]).unwrap();
        assert!(matches!(look(&path("none.json")), Found::Missing));
        assert!(matches!(look(&path("d.json")), Found::Other));
        assert!(matches!(look(&path("l.json")), Found::Unreadable(_)));
        assert!(matches!(look(&path("bin.json")), Found::Unreadable(_)));
        assert!(matches!(
            look(&path("big.json")),
            Found::Unreadable(ManifestError::TooLarge { .. })
        ));
        assert_eq!(
            list(dir.path()).unwrap(),
            ["big.json", "bin.json", "d.json", "l.json"]
        );
        assert!(list(&path("nowhere")).is_err());
    }
}
