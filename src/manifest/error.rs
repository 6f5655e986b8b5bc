//! What can be wrong with an app file, and where in it.

use std::io;
use std::path::{Path, PathBuf};

use serde::de::IgnoredAny;

use super::Place;

/// Why an app file can't be used. Cloned into the status and compared to log each reason once.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// The file is there and can't be read.
    #[error("{}: can't be read: {reason}", file.display())]
    Unreadable {
        /// The app file.
        file: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// The file is larger than any app file.
    #[error("{}: is larger than {limit} bytes; an app file is a few hundred", file.display())]
    TooLarge {
        /// The app file.
        file: PathBuf,
        /// In bytes.
        limit: u64,
    },
    /// Its content is not an app.
    #[error("{}:{line}:{column}: {problem}", file.display())]
    Invalid {
        /// The app file.
        file: PathBuf,
        /// From 1.
        line: usize,
        /// From 1; where reading stopped, just behind the mistake.
        column: usize,
        /// The reason and, where one is known, the remedy.
        problem: String,
        /// The text is not even JSON: perhaps it is still being written.
        unfinished: bool,
    },
}

impl ManifestError {
    pub(crate) fn unreadable(file: &Path, error: &io::Error) -> ManifestError {
        ManifestError::Unreadable {
            file: file.to_owned(),
            reason: error.to_string(),
        }
    }

    pub(crate) fn invalid(file: &Path, json: &str, error: &serde_json::Error) -> ManifestError {
        let problem = error.to_string();
        // The place stands at the front of the message; the parser's own copy at its end is dropped.
        let suffix = format!(" at line {} column {}", error.line(), error.column());
        let problem = problem.strip_suffix(&suffix).unwrap_or(&problem);
        ManifestError::Invalid {
            file: file.to_owned(),
            line: error.line().max(1),
            column: error.column().max(1),
            problem: if json.trim().is_empty() {
                "the file is empty; an app needs \"reference\" and, for HTTP, \"address\"".to_owned()
            } else {
                problem.to_owned()
            },
            // Asked of the whole text: a mistake in its first half says nothing about a second half still to come.
            unfinished: serde_json::from_str::<IgnoredAny>(json).is_err(),
        }
    }

    /// The place, and the rest: what is displayed, without the file.
    pub fn parts(&self) -> (Option<Place>, String) {
        match self {
            ManifestError::Invalid {
                line,
                column,
                problem,
                ..
            } => {
                let (line, column) = (*line, *column);
                (Some(Place { line, column }), problem.clone())
            }
            ManifestError::Unreadable { file, .. } | ManifestError::TooLarge { file, .. } => {
                let text = self.to_string();
                let prefix = format!("{}: ", file.display());
                (None, text.strip_prefix(&prefix).unwrap_or(&text).to_owned())
            }
        }
    }

    /// Whether the text may be the first half of a good one.
    pub(crate) fn is_unfinished(&self) -> bool {
        matches!(self, ManifestError::Invalid { unfinished: true, .. })
    }

    /// Moves the place from a part of a text, which begins behind `before`, to the whole text.
    pub(crate) fn within(mut self, before: &str) -> ManifestError {
        if let ManifestError::Invalid { line, column, .. } = &mut self {
            if *line == 1 {
                let last_line = before.rsplit('\n').next().unwrap_or(before);
                *column += last_line.len();
            }
            *line += before.matches('\n').count();
        }
        self
    }
}
