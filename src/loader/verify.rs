//! Damage in what is made of content: compiled code, its index, trees of mounted files.

use std::path::Path;

use super::cache::{CODE, COMPILED};
use super::entry::Entry;
use super::files::{self, TREES};
use crate::oci::{Damage, Store, StoreError, damage_of_blob};

/// Looks at all of it, and removes what is damaged, to be made again when it is needed. `each` is told the bytes of every
/// file looked at.
///
/// # Errors
/// As [`Store::verify`].
pub fn verify(store: &Store, each: &mut dyn FnMut(u64)) -> Result<Vec<Damage>, StoreError> {
    let gone = |path: &Path| !path.exists();
    let mut found = store.verify_area(Path::new(CODE), each, &|path| {
        damage_of_blob(path).filter(|_| !gone(path))
    })?;
    found.extend(store.verify_area(Path::new(TREES), each, &|path| {
        (!files::is_undamaged(path) && !gone(path))
            .then(|| "its files are not those that it was made of".to_owned())
    })?);
    let Ok(engines) = std::fs::read_dir(store.root().join(COMPILED)) else {
        return Ok(found);
    };
    for engine in engines.flatten() {
        let index = Path::new(COMPILED).join(engine.file_name());
        found.extend(store.verify_area(&index, each, &|path| {
            (Entry::read(path).is_none() && !gone(path)).then(|| "it is no entry of the index".to_owned())
        })?);
    }
    Ok(found)
}
