//! The tokens that let their bearers ask at the address (RFC 6750).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::{Choice, ConstantTimeEq};

use crate::telemetry::Tally;

/// Why there are no tokens.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("the tokens of --admin-token-file {} can't be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{} of --admin-token-file holds no token: write one on a line", .0.display())]
    Empty(PathBuf),
}

/// The tokens of a file, one on each line. The file is read for each request: a new token holds from the moment that it
/// is there, beside the old one for as long as that is.
#[derive(Clone)]
pub(super) struct Tokens {
    path: Arc<Path>,
    unreadable: Arc<Tally>,
}

impl Tokens {
    /// # Errors
    /// The file can't be read, or holds no token.
    pub(super) async fn open(path: &Path) -> Result<Self, TokenError> {
        let tokens = Self {
            path: path.into(),
            unreadable: Arc::default(),
        };
        tokens.read().await?;
        Ok(tokens)
    }

    async fn read(&self) -> Result<String, TokenError> {
        let text = tokio::fs::read_to_string(&self.path).await;
        let text = text.map_err(|source| TokenError::Unreadable {
            path: self.path.to_path_buf(),
            source,
        })?;
        let is_empty = lines(&text).next().is_none();
        match is_empty {
            true => Err(TokenError::Empty(self.path.to_path_buf())),
            false => Ok(text),
        }
    }

    /// Why the request may not be answered; `None`: it may.
    pub(super) async fn refuse(&self, headers: &HeaderMap) -> Option<&'static str> {
        let Some(token) = bearer(headers) else {
            return Some("the request has no token: send it as `Authorization: Bearer TOKEN`");
        };
        self.has(TokenDigest::of(token)).await.err()
    }

    /// # Errors
    /// Why it is not taken.
    pub(super) async fn has(&self, token: TokenDigest) -> Result<(), &'static str> {
        match self.read().await {
            Ok(text) if is_among(&text, token) => Ok(()),
            Ok(_) => Err("the token is not known"),
            Err(error) => {
                if let Some(times) = self.unreadable.add() {
                    let error = &error as &dyn std::error::Error;
                    tracing::error!(error, times, "requests for the admin API are refused");
                }
                Err("the daemon can't read its tokens")
            }
        }
    }
}

/// What is kept of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokenDigest([u8; 32]);

impl TokenDigest {
    pub(super) fn of(token: &str) -> Self {
        Self(Sha256::digest(token).into())
    }
}

/// The token of a request; of several headers none counts.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    let (value, None) = (values.next()?, values.next()) else {
        return None;
    };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme
        .eq_ignore_ascii_case("bearer")
        .then(|| token.trim_matches(' '))
}

/// Takes as long for every token: how much of one is right does not show, nor how long it should be.
fn is_among(text: &str, token: TokenDigest) -> bool {
    let known = lines(text).fold(Choice::from(0), |known, line| {
        known | TokenDigest::of(line).0.ct_eq(&token.0)
    });
    known.into()
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_a_whole_line() {
        let text = "old-token\n\n  new-token \r\n";
        let is_among = |token| is_among(text, TokenDigest::of(token));
        assert!(is_among("old-token") && is_among("new-token"));
        for other in ["", "old", "old-token2", "new-token ", "old-token\nnew-token"] {
            assert!(!is_among(other), "{other:?}");
        }
    }

    #[test]
    fn one_header_says_the_token() {
        let headers = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, value.parse().unwrap());
            }
            bearer(&headers).map(str::to_owned)
        };
        assert_eq!(headers(&["bearer  a"]), Some("a".into()));
        assert_eq!(headers(&["Basic a"]), None);
        assert_eq!(headers(&["Bearer a", "Bearer b"]), None);
        assert_eq!(headers(&[]), None);
    }
}
