//! What an app asks of its host (`docs/contract/locked-app.md §6`).

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::error::AppError;

/// Parts of the format that older hosts would have ignored, and this one reads.
const UNDERSTOOD: [&str; 2] = ["host_requirements", "component_host_requirements"];

pub(super) fn check_must_understand(wanted: &[String]) -> Result<(), AppError> {
    let unknown: Vec<_> = wanted
        .iter()
        .filter(|name| !UNDERSTOOD.contains(&name.as_str()))
        .cloned()
        .collect();
    if unknown.is_empty() {
        Ok(())
    } else {
        Err(AppError::Requirements(unknown))
    }
}

/// `optional` entries don't count; any other value of a name that is not supported refuses the app.
pub(super) fn check<'a>(
    requirements: impl Iterator<Item = &'a BTreeMap<String, Value>>,
    supported: &[&str],
) -> Result<(), AppError> {
    let unsupported: BTreeSet<_> = requirements
        .flatten()
        .filter(|(name, value)| value.as_str() != Some("optional") && !supported.contains(&name.as_str()))
        .map(|(name, _)| name.clone())
        .collect();
    if unsupported.is_empty() {
        Ok(())
    } else {
        Err(AppError::Requirements(unsupported.into_iter().collect()))
    }
}
