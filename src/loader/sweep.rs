//! Index entries of the compilation cache, and what other engines left behind.

use std::collections::HashSet;
use std::path::Path;

use super::cache::{CODE, COMPILED};

/// Hexadecimal digits of a sha256.
const HEX_LEN: usize = 64;

/// The code's hash in an index entry; `None` for one that is not there or not whole.
pub(super) fn read_entry(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    let hash = text.trim_end();
    let is_hash = hash.len() == HEX_LEN && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    is_hash.then(|| hash.to_owned())
}

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
        .filter_map(|entry| read_entry(&entry.path()))
        .collect()
}
