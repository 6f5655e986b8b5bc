//! What a component has been tried as.

use std::os::unix::fs::MetadataExt as _;
use std::sync::LazyLock;

use sha2::{Digest as _, Sha256};

use crate::runtime::InstanceSettings;

/// What the making of one instance depends on besides the code: by whom it is made, as what, and what it is given. One that
/// was passed needs no repetition, so that a restart need not map what nobody asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trial(String);

/// This program's file as it was when it started: another build may offer other interfaces. `None`: it can't be told from
/// other builds, and nothing it passes is remembered.
static PROGRAM: LazyLock<Option<[u64; 4]>> = LazyLock::new(|| {
    let file = std::env::current_exe().ok()?;
    let metadata = std::fs::metadata(file).ok()?;
    let (seconds, nanoseconds) = (metadata.mtime() as u64, metadata.mtime_nsec() as u64);
    Some([metadata.ino(), metadata.size(), seconds, nanoseconds])
});

impl Trial {
    /// `role` is what the component is called as.
    pub fn of(role: &str, settings: &InstanceSettings) -> Option<Self> {
        let mut hash = Sha256::new();
        for number in (*PROGRAM)? {
            hash.update(number.to_le_bytes());
        }
        let limits = &settings.limits;
        // Debug: each value ends where it ends.
        let given = (
            role,
            &settings.environment,
            &settings.files,
            limits.one_memory,
            limits.memory,
        );
        hash.update(format!("{given:?}"));
        Some(Self(hex::encode(hash.finalize())))
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}
