//! Where the values of variables come from.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use async_trait::async_trait;

/// A text that is never shown by accident.
#[derive(Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for the one place that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a source of values did not answer.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    #[error("the file {} can't be read", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("the environment variable {0} is not UTF-8 text")]
    Environment(String),
    /// The parser's own message would show the line, and so a value.
    #[error("line {line} of {} is no assignment", path.display())]
    Dotenv { path: PathBuf, line: usize },
    #[error("Vault at {address} {reason}")]
    Vault { address: String, reason: String },
}

impl ProviderError {
    /// Whether the cause lies with a server, which may be back later: no reason to keep an app from starting.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Vault { .. })
    }
}

/// A source of values. `None` means that it does not know the variable, and the next one is asked.
#[async_trait]
pub trait Provider: fmt::Debug + Send + Sync {
    async fn get(&self, name: &str) -> Result<Option<Secret>, ProviderError>;
}

/// A value as an app file gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    Literal(Secret),
    /// Its content, less one line end.
    File(PathBuf),
}

/// The values of an app file.
#[derive(Debug)]
pub struct Values {
    values: BTreeMap<String, Value>,
}

impl Values {
    pub fn new(values: BTreeMap<String, Value>) -> Self {
        Self { values }
    }
}

#[async_trait]
impl Provider for Values {
    async fn get(&self, name: &str) -> Result<Option<Secret>, ProviderError> {
        match self.values.get(name) {
            None => Ok(None),
            Some(Value::Literal(value)) => Ok(Some(value.clone())),
            Some(Value::File(path)) => {
                let error = |source| ProviderError::File {
                    path: path.clone(),
                    source,
                };
                let text = tokio::fs::read_to_string(path).await.map_err(error)?;
                let text = text
                    .strip_suffix('\n')
                    .map(|text| text.strip_suffix('\r').unwrap_or(text))
                    .unwrap_or(&text);
                Ok(Some(Secret(text.into())))
            }
        }
    }
}
