//! What other engines left behind in the compilation cache.

use std::collections::HashSet;
use std::path::Path;

use super::cache::{CODE, COMPILED};
use super::entry::Entry;

/// Removes the entries of engines other than `keep`, and the code that only they name. Best effort: what can't be
/// removed now is removed at another start. A process of the other version that still runs keeps its mappings, and
/// compiles again what it loads anew.
pub(super) fn remove_other_engines(root: &Path, keep: &str) {
    let Ok(engines) = std::fs::read_dir(root.join(COMPILED)) else {
        return;
    };
    let (mut kept, mut gone) = (HashSet::new(), HashSet::new());
    for engine in engines.flatten() {
        if engine.file_name() == keep {
            kept.extend(codes_of(&engine.path()));
            continue;
        }
        gone.extend(codes_of(&engine.path()));
        if let Err(error) = std::fs::remove_dir_all(engine.path()) {
            tracing::warn!(path = %engine.path().display(), %error, "code of another engine is not removed");
        }
    }
    for code in gone.difference(&kept) {
        drop(std::fs::remove_file(root.join(CODE).join(code)));
    }
}

fn codes_of(engine: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(engine) else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| Entry::code_of(&entry.path()))
        .collect()
}
