//! Tables: the status, what would change, what the cache holds.

use comfy_table::{CellAlignment, ContentArrangement, Table, presets};

use super::cache::size;
use super::diff::Difference;
use crate::control::{AppStatus, PinnedVersion, Status};
use crate::tools::Usage;

/// Characters of a digest that are shown: enough to tell versions apart.
const DIGEST_LENGTH: usize = "sha256:".len() + 12;

/// A row for each app, and below them what is wrong.
pub(super) fn render(status: &Status) -> String {
    let mut table = plain();
    table.set_header(["APP", "STATE", "ADDRESS", "REFERENCE", "DIGEST", "SINCE"]);
    for (id, app) in &status.apps {
        let digest = app.digest.as_deref().map(short_digest);
        let cell = |text: Option<&str>| text.unwrap_or("-").to_owned();
        table.add_row([
            id.clone(),
            state(app),
            place(app),
            cell(app.reference.as_deref()),
            cell(digest),
            app.since.clone(),
        ]);
    }
    let mut text = table.trim_fmt();
    for (id, app) in &status.apps {
        text.extend(pin(id, app));
        text.extend(problem(id, app));
    }
    if let Some(problem) = &status.source_problem {
        text.push_str(&format!("\n\n{problem}"));
    }
    text
}

/// A row for each app.
pub(super) fn differences(differences: &[Difference]) -> String {
    let mut table = plain();
    table.set_header(["APP", "ACTION", "REASON"]);
    for Difference {
        app, action, reason, ..
    } in differences
    {
        table.add_row([app, action.as_str(), reason.as_deref().unwrap_or_default()]);
    }
    table.trim_fmt()
}

/// A row for each kind of content.
pub(super) fn usage(usage: &Usage) -> String {
    let mut table = plain();
    table.set_header(["CONTENT", "ENTRIES", "SIZE"]);
    for area in &usage.areas {
        table.add_row([
            area.directory.to_owned(),
            area.entries.to_string(),
            size(area.bytes),
        ]);
    }
    let entries: usize = usage.areas.iter().map(|area| area.entries).sum();
    table.add_row(["all".to_owned(), entries.to_string(), size(usage.bytes)]);
    table.add_row(["needed by apps".to_owned(), String::new(), size(usage.pinned)]);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table.trim_fmt()
}

fn plain() -> Table {
    let mut table = Table::new();
    table
        .load_preset(presets::NOTHING)
        .set_content_arrangement(ContentArrangement::Disabled);
    table
}

/// Enough of a digest to tell versions apart.
pub(super) fn short_digest(digest: &str) -> &str {
    digest.get(..DIGEST_LENGTH).unwrap_or(digest)
}

fn state(app: &AppStatus) -> String {
    match app.pinned {
        Some(_) => format!("{}, pinned", app.state.as_str()),
        None => app.state.as_str().to_owned(),
    }
}

fn pin(id: &str, app: &AppStatus) -> Option<String> {
    let PinnedVersion { version, since, .. } = app.pinned.as_deref()?;
    Some(format!(
        "\n\n{id}: pinned to version {version} since {since}, until its file changes or `rollback {id} --undo`"
    ))
}

/// The address, and what of it is the app's: the first of its hosts, and how many more.
fn place(app: &AppStatus) -> String {
    let address = app.address.as_deref().unwrap_or("-");
    match app.sites.as_slice() {
        [] => address.to_owned(),
        [site] => format!("{address} {site}"),
        [site, more @ ..] => format!("{address} {site} +{}", more.len()),
    }
}

fn problem(id: &str, app: &AppStatus) -> Option<String> {
    let error = app.error.as_ref()?;
    let next = app
        .next_try
        .as_ref()
        .map(|time| format!("\n    next try: {time}"))
        .unwrap_or_default();
    Some(format!("\n\n{id}: {error}{next}"))
}
