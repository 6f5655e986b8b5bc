//! Environment variables as values, and a file of such (`docs/contract/runtime-config.md §5`).

use std::path::{Path, PathBuf};

use async_trait::async_trait;

use super::provider::{Provider, ProviderError, Secret};

/// What the names begin with where nobody says otherwise.
const DEFAULT_PREFIX: &str = "SPIN_VARIABLE";

/// The process's own environment, for every app alike, so only where the operator wants that; then a file.
///
/// The variable `db_pw` is `PREFIX_DB_PW`.
#[derive(Debug)]
pub struct Environment {
    prefix: String,
    dotenv: Option<PathBuf>,
}

impl Environment {
    /// `dotenv` holds lines `NAME=value`. It is read at each call, and need not exist.
    pub fn new(prefix: impl Into<String>, dotenv: Option<PathBuf>) -> Self {
        Self {
            prefix: prefix.into(),
            dotenv,
        }
    }
}

impl Default for Environment {
    /// `SPIN_VARIABLE_…`, without a file.
    fn default() -> Self {
        Self::new(DEFAULT_PREFIX, None)
    }
}

#[async_trait]
impl Provider for Environment {
    async fn get(&self, name: &str) -> Result<Option<Secret>, ProviderError> {
        let key = format!("{}_{}", self.prefix, name.to_ascii_uppercase());
        match std::env::var(&key) {
            Ok(value) => return Ok(Some(Secret::new(value))),
            Err(std::env::VarError::NotPresent) => {}
            Err(std::env::VarError::NotUnicode(_)) => return Err(ProviderError::Environment(key)),
        }
        match &self.dotenv {
            Some(path) => in_file(path, &key).await,
            None => Ok(None),
        }
    }
}

/// The last assignment to `key` wins.
async fn in_file(path: &Path, key: &str) -> Result<Option<Secret>, ProviderError> {
    let text = match tokio::fs::read(path).await {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(ProviderError::File {
                path: path.into(),
                source,
            });
        }
    };
    let mut found = None;
    for assignment in dotenvy::from_read_iter(&*text) {
        let (name, value) = assignment.map_err(|error| wrong(path, &text, &error))?;
        if name == key {
            found = Some(Secret::new(value));
        }
    }
    Ok(found)
}

/// The error names the text of the line alone, which is then looked for.
fn wrong(path: &Path, text: &[u8], error: &dotenvy::Error) -> ProviderError {
    let text = String::from_utf8_lossy(text);
    let at = match error {
        dotenvy::Error::LineParse(bad, _) => text
            .lines()
            .position(|line| bad.contains(line.trim()) && !line.trim().is_empty()),
        _ => None,
    };
    ProviderError::Dotenv {
        path: path.into(),
        line: at.map_or(1, |at| at + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn provider(file: &Path) -> Environment {
        Environment::new("LEPTON_TEST_OF_DOTENV", Some(file.into()))
    }

    #[tokio::test]
    async fn a_file_is_read_at_each_call() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let provider = provider(file.path());
        for secret in ["first", "second"] {
            let text = format!(
                "# a comment\nLEPTON_TEST_OF_DOTENV_DB_PW=old\nexport LEPTON_TEST_OF_DOTENV_DB_PW=\"{secret}\"\nDB_PW=other\n"
            );
            std::fs::write(file.path(), text).unwrap();
            assert_eq!(provider.get("db_pw").await.unwrap(), Some(Secret::new(secret)));
        }
        assert_eq!(provider.get("pw").await.unwrap(), None);
    }

    #[tokio::test]
    async fn a_file_that_is_not_there_knows_nothing() {
        assert_eq!(
            provider(Path::new("/nonexistent/.env")).get("a").await.unwrap(),
            None
        );
    }

    #[tokio::test]
    async fn a_line_that_is_wrong_is_named_and_not_shown() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "A=1\nhush-hush it is\n").unwrap();
        let error = provider(file.path()).get("a").await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.contains("line 2") && !text.contains("hush"), "{text}");
    }

    #[tokio::test]
    async fn the_environment_is_asked_by_prefix() {
        // Set by cargo for every test.
        let provider = Environment::new("CARGO_PKG", None);
        assert_eq!(provider.get("name").await.unwrap(), Some(Secret::new("lepton")));
    }
}
