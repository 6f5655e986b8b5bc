//! Which manifest of a layout a tag means.

use std::collections::BTreeSet;

use super::super::digest::Digest;
use super::super::error::OciError;
use super::super::limits::Limits;
use super::super::manifest::{Descriptor, Index, Manifest};
use super::{INDEX, Layout};

/// The annotation by which tools tag entries.
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// Where some tools keep the whole reference instead.
const IMAGE_NAME: &str = "io.containerd.image.name";
/// How `cosign save` marks entries; those that are no artifacts, and the one that is a manifest of signatures.
const KIND: &str = "kind";
const ATTACHMENTS: [&str; 3] = [
    SIGNATURES,
    "dev.cosignproject.cosign/atts",
    "dev.cosignproject.cosign/sboms",
];
const SIGNATURES: &str = "dev.cosignproject.cosign/sigs";
/// The tag that is meant when none is written and there are several.
const DEFAULT_TAG: &str = "latest";
/// Indexes within indexes that are searched for a tag.
const DEPTH: usize = 3;

pub(super) fn resolve(layout: &Layout, tag: Option<&str>, limits: &Limits) -> Result<Digest, OciError> {
    let mut top = read(layout, INDEX, limits)?;
    top.manifests.retain(|entry| !is_attachment(entry));
    let entries = all_entries(layout, &top, limits)?;
    let found = match tag {
        Some(tag) => distinct(entries.iter().filter(|entry| is_tagged(entry, tag))),
        None => {
            let all = distinct(top.manifests.iter());
            if all.len() == 1 {
                all
            } else {
                distinct(entries.iter().filter(|entry| is_tagged(entry, DEFAULT_TAG)))
            }
        }
    };
    match found.as_slice() {
        [only] => Ok(*only),
        // Images of one name for several platforms, written side by side instead of as an index.
        [_, _, ..] => {
            let named = entries
                .iter()
                .filter(|entry| found.contains(&entry.digest))
                .cloned()
                .collect();
            Ok(Index { manifests: named }
                .choose(&layout.path().display().to_string())?
                .digest)
        }
        [] => Err(layout.bad(no_entry(tag, &entries))),
    }
}

pub(super) fn attached(layout: &Layout, tag: &str, limits: &Limits) -> Result<Option<Digest>, OciError> {
    let top = read(layout, INDEX, limits)?;
    let entries = all_entries(layout, &top, limits)?;
    let tagged = entries.iter().find(|entry| is_tagged(entry, tag));
    let marked = || {
        entries
            .iter()
            .find(|entry| entry.annotation(KIND) == Some(SIGNATURES))
    };
    Ok(tagged.or_else(marked).map(|entry| entry.digest))
}

fn is_attachment(entry: &Descriptor) -> bool {
    entry
        .annotation(KIND)
        .is_some_and(|kind| ATTACHMENTS.contains(&kind))
}

fn all_entries(layout: &Layout, top: &Index, limits: &Limits) -> Result<Vec<Descriptor>, OciError> {
    let mut entries = top.manifests.clone();
    collect_nested(layout, top, limits, DEPTH, &mut entries)?;
    Ok(entries)
}

fn read(layout: &Layout, name: &str, limits: &Limits) -> Result<Index, OciError> {
    let bytes = layout.read(name, limits.manifest)?;
    match Manifest::parse(&bytes, &format!("{name} of {}", layout.path().display()))? {
        Manifest::Index(index) => Ok(index),
        Manifest::Image(_) => Err(layout.bad(format!("its {name:?} is a manifest; expected an index"))),
    }
}

/// Tags may be in an index that the top one points to.
fn collect_nested(
    layout: &Layout,
    index: &Index,
    limits: &Limits,
    depth: usize,
    entries: &mut Vec<Descriptor>,
) -> Result<(), OciError> {
    if depth == 0 {
        return Ok(());
    }
    for entry in index
        .manifests
        .iter()
        .filter(|entry| entry.media_type.contains(".index."))
    {
        let nested = read(layout, &super::blob_name(&entry.digest), limits)?;
        entries.extend(
            nested
                .manifests
                .iter()
                .filter(|entry| !tags(entry).is_empty())
                .cloned(),
        );
        collect_nested(layout, &nested, limits, depth - 1, entries)?;
    }
    Ok(())
}

fn tags(entry: &Descriptor) -> Vec<&str> {
    [REF_NAME, IMAGE_NAME]
        .iter()
        .filter_map(|name| entry.annotation(name))
        .collect()
}

/// The annotation is the tag itself, or a whole reference that ends in it.
fn is_tagged(entry: &Descriptor, tag: &str) -> bool {
    tags(entry)
        .iter()
        .any(|name| *name == tag || name.strip_suffix(tag).is_some_and(|rest| rest.ends_with(':')))
}

fn distinct<'e>(entries: impl Iterator<Item = &'e Descriptor>) -> Vec<Digest> {
    entries
        .map(|entry| entry.digest)
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect()
}

fn no_entry(tag: Option<&str>, entries: &[Descriptor]) -> String {
    let known: BTreeSet<&str> = entries.iter().flat_map(tags).collect();
    let known = match known.is_empty() {
        true if entries.is_empty() => "it is empty".to_owned(),
        true => "its entries have no tags".to_owned(),
        false => format!("it has {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    match tag {
        Some(tag) => format!("no entry is tagged {tag:?}; {known}"),
        None => {
            format!("it has no single entry and none tagged {DEFAULT_TAG:?}; name one with :TAG ({known})")
        }
    }
}
