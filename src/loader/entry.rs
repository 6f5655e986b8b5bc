//! An entry of the compilation cache's index.
//!
//! ```text
//! <sha256 of the code> <engine>
//! <trial>                one line for each that the code has passed, the newest last
//! ```

use std::path::Path;

use crate::runtime::EngineKind;

/// Hexadecimal digits of a sha256.
const HEX_LEN: usize = 64;
/// Trials that are remembered of one code: more settings than these are tried anew.
const MAX_TRIALS: usize = 16;

/// What is known of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The sha256 of the code, in lower-case hexadecimal.
    pub(super) code: String,
    /// Whose code it is.
    pub(super) engine: EngineKind,
    /// See [`Trial`](super::Trial).
    pub(super) trials: Vec<String>,
}

impl Entry {
    pub(super) fn new(code: String, engine: EngineKind) -> Self {
        Self {
            code,
            engine,
            trials: Vec::new(),
        }
    }

    /// `None` for one that is not there or not whole.
    pub(super) fn read(path: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(path).ok()?;
        let mut lines = text.lines();
        let (code, engine) = lines.next()?.split_once(' ')?;
        let engine = EngineKind::ALL
            .into_iter()
            .find(|kind| name_of(*kind) == engine)?;
        is_hash(code).then(|| Self {
            code: code.to_owned(),
            engine,
            trials: lines.map(str::to_owned).collect(),
        })
    }

    /// What code an entry names, also one that another version wrote.
    pub(super) fn code_of(path: &Path) -> Option<String> {
        let text = std::fs::read_to_string(path).ok()?;
        let code = text.split_whitespace().next()?;
        is_hash(code).then(|| code.to_owned())
    }

    /// The trial is the newest one.
    pub(super) fn passed(&mut self, trial: &str) {
        self.trials.retain(|known| known != trial);
        self.trials.push(trial.to_owned());
        let superfluous = self.trials.len().saturating_sub(MAX_TRIALS);
        self.trials.drain(..superfluous);
    }

    pub(super) fn text(&self) -> String {
        let mut text = format!("{} {}", self.code, name_of(self.engine));
        for trial in &self.trials {
            text.push('\n');
            text.push_str(trial);
        }
        text
    }
}

/// What an engine is called in an entry.
fn name_of(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Plain => "plain",
        EngineKind::Concurrent => "concurrent",
    }
}

fn is_hash(text: &str) -> bool {
    text.len() == HEX_LEN && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_reads_back_with_its_newest_trials() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("entry");
        let mut entry = Entry::new("0".repeat(HEX_LEN), EngineKind::Concurrent);
        for index in 0..=MAX_TRIALS {
            entry.passed(&index.to_string());
        }
        entry.passed("1");
        std::fs::write(&path, entry.text()).unwrap();
        let read = Entry::read(&path).unwrap();
        assert_eq!(read, entry);
        assert_eq!(read.trials.len(), MAX_TRIALS);
        assert_eq!(read.trials.last().unwrap(), "1");
        assert!(!read.trials.contains(&"0".to_owned()));
    }
}
