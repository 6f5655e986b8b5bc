//! The versions of an app that have served: pure, times are arguments.
//!
//! A version is content from a place: a digest, and the reference that it came by. It keeps its number when it serves
//! again. An edit of other members of the app's file is no new version.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Entries that are kept of an app.
const KEPT: usize = 20;
/// What was refused while one version served: the last so many.
const KEPT_REFUSALS: usize = 5;
/// The word for the version before the one that serves.
const PREVIOUS: &str = "previous";
const ALGORITHM: &str = "sha256:";

/// What has served, and what was refused.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
pub struct History {
    /// The newest first.
    pub versions: Vec<ServedVersion>,
    /// What could not be served since the newest began; of this process only.
    pub refused: Vec<RefusedVersion>,
    /// The highest number that was given.
    pub(super) last_number: u64,
}

/// A version, from when it began to serve until it ended. Times are RFC 3339 in UTC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ServedVersion {
    /// Its number: the same whenever the same content serves.
    pub version: u64,
    /// As the app's file said it.
    pub reference: String,
    /// `sha256:…`
    pub digest: String,
    /// When it began to serve.
    pub since: String,
    /// When it ended; `None` while it serves. What ended while no daemon ran has the time at which the next version began.
    pub until: Option<String>,
    /// How it ended.
    pub ended: Option<VersionEnd>,
    /// How often it ended by itself and was started again.
    pub crashes: u64,
    /// What could not be served in its place.
    pub refused: Vec<RefusedVersion>,
}

/// How a version ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionEnd {
    /// Another one took its place, by an edit, by a reference that moved, or since a pin ended.
    Replaced,
    /// A version that served before took its place.
    RolledBack,
    /// The app was switched off by its file.
    Stopped,
    /// It ended by itself, and has not been started again.
    Crashed,
    /// Another app took its address.
    Displaced,
}

/// What an app's file asked for and could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefusedVersion {
    /// When it was first tried.
    pub at: String,
    /// `None`: the file itself was in error.
    pub reference: Option<String>,
    /// Why, and the remedy where one is known.
    pub reason: String,
}

/// Why no version is meant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoVersion {
    #[error("`{0}` is neither the number nor the digest of a version that served")]
    Unknown(String),
    #[error("several versions that served have a digest that begins with `{0}`: give more of it")]
    Ambiguous(String),
    #[error("no other version served before")]
    NothingBefore,
}

impl VersionEnd {
    /// Its name, as it stands in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Replaced => "replaced",
            Self::RolledBack => "rolled-back",
            Self::Stopped => "stopped",
            Self::Crashed => "crashed",
            Self::Displaced => "displaced",
        }
    }
}

impl History {
    /// This serves from now on; `how` is the end of what served until now. `refused` was tried in vain meanwhile. Gives
    /// `false` if that is no news.
    pub(crate) fn begin(
        &mut self,
        reference: &str,
        digest: &str,
        how: VersionEnd,
        refused: Vec<RefusedVersion>,
        now: &str,
    ) -> bool {
        if let Some(newest) = self.versions.first_mut() {
            let same = newest.reference == reference && newest.digest == digest;
            match newest.ended {
                None if same => return false,
                Some(VersionEnd::Crashed) if same => {
                    newest.until = None;
                    newest.ended = None;
                    return true;
                }
                None => newest.end(how, now),
                Some(_) => {}
            }
            newest.refused.extend(refused);
            let surplus = newest.refused.len().saturating_sub(KEPT_REFUSALS);
            newest.refused.drain(..surplus);
        }
        let mut known = self.versions.iter();
        let known = known.find(|other| other.reference == reference && other.digest == digest);
        let version = known.map_or(self.last_number + 1, |known| known.version);
        self.last_number = self.last_number.max(version);
        let begun = ServedVersion {
            version,
            reference: reference.to_owned(),
            digest: digest.to_owned(),
            since: now.to_owned(),
            until: None,
            ended: None,
            crashes: 0,
            refused: Vec::new(),
        };
        self.versions.insert(0, begun);
        if self.versions.len() > KEPT {
            self.drop_one();
        }
        true
    }

    /// What served has ended. Gives `false` if that is no news.
    pub(crate) fn end(&mut self, how: VersionEnd, now: &str) -> bool {
        match self.versions.first_mut() {
            Some(newest) if newest.ended.is_none() => {
                newest.end(how, now);
                true
            }
            _ => false,
        }
    }

    /// The oldest entry whose version has a newer one, so that going to and fro loses no version; or the oldest.
    fn drop_one(&mut self) {
        let mut seen = BTreeSet::new();
        let repeated = |(place, entry): (usize, &ServedVersion)| {
            let is_first = seen.insert(entry.version);
            (!is_first).then_some(place)
        };
        let oldest = self.versions.iter().enumerate().filter_map(repeated).last();
        self.versions.remove(oldest.unwrap_or(self.versions.len() - 1));
    }

    /// The version of that number, or whose digest begins so; `None`: the one before the one that serves. `pinned` is the
    /// number of the one that the app is pinned to: before that is what has a smaller one, not what it was rolled back from.
    pub(crate) fn choose(
        &self,
        wanted: Option<&str>,
        pinned: Option<u64>,
    ) -> Result<&ServedVersion, NoVersion> {
        match wanted {
            None | Some(PREVIOUS) => self.previous(pinned).ok_or(NoVersion::NothingBefore),
            Some(wanted) => self.named(wanted),
        }
    }

    fn previous(&self, pinned: Option<u64>) -> Option<&ServedVersion> {
        let newest = self.versions.first()?;
        let mut others = self.versions.iter().filter(|other| other.digest != newest.digest);
        match pinned {
            None => others.next(),
            Some(pinned) => others
                .filter(|other| other.version < pinned)
                .max_by_key(|other| other.version),
        }
    }

    fn named(&self, wanted: &str) -> Result<&ServedVersion, NoVersion> {
        let number = wanted.parse::<u64>().ok();
        let by_number = self.versions.iter().find(|known| Some(known.version) == number);
        if let Some(known) = by_number {
            return Ok(known);
        }
        let digits = wanted.strip_prefix(ALGORITHM).unwrap_or(wanted).to_lowercase();
        let begins = |known: &&ServedVersion| {
            let digest = known.digest.strip_prefix(ALGORITHM).unwrap_or(&known.digest);
            !digits.is_empty() && digest.starts_with(&digits)
        };
        let mut found = self.versions.iter().filter(begins);
        let first = found
            .next()
            .ok_or_else(|| NoVersion::Unknown(wanted.to_owned()))?;
        match found.all(|other| other.digest == first.digest) {
            true => Ok(first),
            false => Err(NoVersion::Ambiguous(wanted.to_owned())),
        }
    }
}

impl ServedVersion {
    fn end(&mut self, how: VersionEnd, now: &str) {
        self.until = Some(now.to_owned());
        self.ended = Some(how);
        self.crashes += u64::from(how == VersionEnd::Crashed);
    }
}

/// Notes a reason once, and the last few of them.
pub(crate) fn refuse(
    refused: &mut Vec<RefusedVersion>,
    reference: Option<String>,
    reason: &str,
    now: String,
) {
    if refused
        .iter()
        .any(|known| known.reference == reference && known.reason == reason)
    {
        return;
    }
    if refused.len() == KEPT_REFUSALS {
        refused.remove(0);
    }
    refused.push(RefusedVersion {
        at: now,
        reference,
        reason: reason.to_owned(),
    });
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
