//! The name of content: the sha256 of its bytes (`docs/contract/oci.md` §1).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest as _, Sha256};

/// Length of a sha256 in bytes.
const SHA256_BYTES: usize = 32;
/// The only algorithm that registries use in practice and the only one that is verified here.
const PREFIX: &str = "sha256:";

/// A sha256 digest. Written `sha256:` and 64 lower-case hexadecimal digits, in text and in JSON.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; SHA256_BYTES]);

/// Why a text is not a [`Digest`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    /// Another algorithm than sha256.
    #[error("digest {0:?} uses an algorithm that is not supported; only sha256 is")]
    Algorithm(String),
    /// Not `sha256:` and 64 lower-case hexadecimal digits.
    #[error("{0:?} is not a digest; one is \"sha256:\" and 64 lower-case hexadecimal digits")]
    Malformed(String),
}

impl Digest {
    /// The digest of `bytes`.
    pub fn of(bytes: &[u8]) -> Digest {
        Digest(Sha256::digest(bytes).into())
    }

    /// Reads `sha256:<64 hex digits>`.
    ///
    /// # Errors
    /// Another algorithm, and anything that is not exactly that form.
    pub fn parse(text: &str) -> Result<Digest, DigestError> {
        let Some(digits) = text.strip_prefix(PREFIX) else {
            return Err(match text.split_once(':') {
                Some((algorithm, _)) if !algorithm.is_empty() => DigestError::Algorithm(text.to_owned()),
                _ => DigestError::Malformed(text.to_owned()),
            });
        };
        Self::from_hex(digits).ok_or_else(|| DigestError::Malformed(text.to_owned()))
    }

    /// Reads the bare 64 lower-case digits, the form of a blob's file name.
    pub fn from_hex(digits: &str) -> Option<Digest> {
        // Upper case is another name for the same bytes: two names for one blob would defeat the store.
        if digits.bytes().any(|digit| digit.is_ascii_uppercase()) {
            return None;
        }
        let mut bytes = [0; SHA256_BYTES];
        hex::decode_to_slice(digits, &mut bytes).ok()?;
        Some(Digest(bytes))
    }

    /// The 64 hexadecimal digits, without the algorithm.
    pub fn hex(&self) -> String {
        hex::encode(self.0)
    }

    /// Ends a running hash.
    pub(crate) fn finish(hash: Sha256) -> Digest {
        Digest(hash.finalize().into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Digest::parse(text)
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Digest::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn a_digest_reads_back_as_it_is_written() {
        let digest = Digest::of(b"");
        assert_eq!(digest.to_string(), EMPTY);
        assert_eq!(Digest::parse(EMPTY), Ok(digest));
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
    }

    #[test]
    fn another_algorithm_is_named_as_the_reason() {
        let text = format!("sha512:{}", "a".repeat(128));
        assert_eq!(Digest::parse(&text), Err(DigestError::Algorithm(text.clone())));
    }

    #[test]
    fn a_short_long_or_upper_case_digest_is_refused() {
        for text in [
            &EMPTY[..70],
            &format!("{EMPTY}0"),
            &EMPTY.to_uppercase().replace("SHA", "sha"),
            "",
            ":",
            "x",
        ] {
            assert!(Digest::parse(text).is_err(), "{text}");
        }
    }
}
