//! The guests' bytes.

use std::fs;
use std::path::PathBuf;

/// A guest of `tests/guests/prebuilt`, by its file's stem.
pub fn guest(name: &str) -> Vec<u8> {
    read(
        repository()
            .join("tests/guests/prebuilt")
            .join(format!("{name}.wasm")),
        "tests/guests/build",
    )
}

/// A guest that is too large to be committed: made by `tests/setup`.
pub fn large_guest(name: &str) -> Vec<u8> {
    read(cache().join("large").join(format!("{name}.wasm")), "tests/setup")
}

/// Where `tests/setup` puts what is not committed.
pub fn cache() -> PathBuf {
    let named = std::env::var_os("LEPTON_GUESTS").map(PathBuf::from);
    named.unwrap_or_else(|| {
        dirs::cache_dir()
            .expect("the user has a cache directory")
            .join("lepton-guests")
    })
}

/// The repository's root.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: PathBuf, maker: &str) -> Vec<u8> {
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}; {maker} makes it", path.display()))
}
