//! A fixed list of apps in one file, `{"apps": [ … ]}`.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use super::{AppId, AppSpec, ManifestError, Place, parse_text};

/// One entry of a list.
#[derive(Debug, Clone, PartialEq)]
pub struct ListEntry {
    /// The last component of its `state_dir`, or the list's stem and its number in the list, from 1; unique.
    pub id: AppId,
    /// Its own text.
    pub text: String,
    /// Where in the list that begins.
    pub place: Place,
    /// What it asks for, or what is wrong with it and where in the list.
    pub spec: Result<AppSpec, ManifestError>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object with \"apps\"")]
struct RawList<'t> {
    #[serde(borrow)]
    apps: Vec<&'t RawValue>,
    #[serde(rename = "$schema", default)]
    _schema: Option<IgnoredAny>,
}

/// Reads a list. One bad entry does not spoil the others.
///
/// # Errors
/// The file is not `{"apps": [ … ]}`.
pub fn parse_list(text: &str, file: &Path) -> Result<Vec<ListEntry>, ManifestError> {
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    let list: RawList<'_> = serde_json::from_str(json).map_err(|e| ManifestError::invalid(file, json, &e))?;
    let mut taken = HashSet::new();
    let entries = list.apps.iter().enumerate().map(|(index, raw)| {
        let entry = raw.get();
        let id = unique(&name(entry, file, index + 1), &mut taken);
        // The raw value borrows from `json`, so that the distance of the two is where the entry begins.
        let start = entry.as_ptr() as usize - json.as_ptr() as usize;
        let spec = parse_text(entry, file, &id).map_err(|e| e.within(&json[..start]));
        ListEntry {
            id,
            text: entry.to_owned(),
            place: Place::behind(&json[..start]),
            spec,
        }
    });
    Ok(entries.collect())
}

/// Only the member that names an entry; read apart from the rest, so that a mistake elsewhere does not rename the app.
#[derive(Deserialize)]
struct NameOnly {
    state_dir: PathBuf,
}

fn name(entry: &str, file: &Path, number: usize) -> String {
    let state_dir = serde_json::from_str(entry)
        .ok()
        .map(|NameOnly { state_dir }| state_dir);
    let last = state_dir
        .as_deref()
        .and_then(Path::file_name)
        .map(|n| n.to_string_lossy().into_owned());
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    last.unwrap_or_else(|| format!("{stem}-{number}"))
}

fn unique(name: &str, taken: &mut HashSet<String>) -> AppId {
    let mut candidate = name.to_owned();
    let mut number = 1;
    while !taken.insert(candidate.clone()) {
        number += 1;
        candidate = format!("{name}-{number}");
    }
    AppId::new(&candidate)
}
