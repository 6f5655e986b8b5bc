//! App files as a daemon reads them, where none runs: for commands.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::claims::Claims;
use super::rehearsal::{Draft, Drafts};
use super::scan::{self, Found};
use super::taken::{named, taken};
use crate::manifest::{AppId, AppSpec, ManifestError, Place, parse_app, parse_list};

/// One app as its file says it now.
#[derive(Debug, Clone)]
pub struct Inspected {
    pub id: AppId,
    /// The file, or the list that holds it.
    pub path: PathBuf,
    /// The app's own text; empty where the file can't be read.
    pub text: String,
    /// Where in the file that begins.
    pub place: Place,
    pub spec: Result<Arc<AppSpec>, ManifestError>,
}

/// The app files directly in a directory, or the one file, whatever its name.
///
/// # Errors
/// The directory can't be listed. A file that can't be read is in its own entry.
pub fn inspect(path: &Path) -> io::Result<Vec<Inspected>> {
    if !path.is_dir() {
        return Ok(vec![look(path).unwrap_or_else(|| {
            let missing = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
            failed(path, ManifestError::unreadable(path, &missing))
        })]);
    }
    let names = scan::list(path)?;
    Ok(names.iter().filter_map(|name| look(&path.join(name))).collect())
}

/// The apps of a list.
///
/// # Errors
/// The list as a whole can't be read.
pub fn inspect_list(file: &Path) -> Result<Vec<Inspected>, ManifestError> {
    let text = match scan::look(file) {
        Found::Text { text, .. } => text,
        Found::Unreadable(error) => return Err(error),
        Found::Missing | Found::Other => {
            let missing = io::Error::new(io::ErrorKind::NotFound, "there is no such file");
            return Err(ManifestError::unreadable(file, &missing));
        }
    };
    let entries = parse_list(&text, file)?.into_iter();
    Ok(entries
        .map(|entry| Inspected {
            id: entry.id,
            path: file.to_owned(),
            place: entry.place,
            text: entry.text,
            spec: entry.spec.map(Arc::new),
        })
        .collect())
}

/// `None`: nothing is there, or no file.
fn look(path: &Path) -> Option<Inspected> {
    match scan::look(path) {
        Found::Text { text, .. } => Some(Inspected {
            id: AppId::of_file(path),
            path: path.to_owned(),
            spec: parse_app(&text, path).map(Arc::new),
            place: Place::START,
            text,
        }),
        Found::Unreadable(error) => Some(failed(path, error)),
        Found::Missing | Found::Other => None,
    }
}

fn failed(path: &Path, error: ManifestError) -> Inspected {
    Inspected {
        id: AppId::of_file(path),
        path: path.to_owned(),
        text: String::new(),
        place: Place::START,
        spec: Err(error),
    }
}

/// For each app the reason why it would wait, if one before it claims the same: where one daemon had all of them.
pub fn conflicts(apps: &[Inspected]) -> Vec<Option<String>> {
    // Files of several directories may have the same name.
    let key = |index: usize| AppId::new(&index.to_string());
    let enabled = |app: &&Inspected| app.spec.as_ref().ok().filter(|spec| spec.enabled).cloned();
    let mut claims = Claims::default();
    for (index, app) in apps.iter().enumerate() {
        if let Some(spec) = enabled(&app) {
            let claim = claims.of(&spec);
            claims.claim(&key(index), claim);
            claims.settle([&key(index)]);
        }
    }
    let reason = |index| {
        let holder = claims.blocked_by(&key(index))?;
        let other = apps.get(holder.as_str().parse::<usize>().ok()?)?;
        let contested = claims.contested(&key(index), holder);
        Some(taken(contested, &named(&other.id, &other.path)))
    };
    (0..apps.len()).map(reason).collect()
}

/// What [`rehearse`](super::rehearsal) takes.
pub fn drafts(apps: &[Inspected]) -> Drafts {
    let draft = |app: &Inspected| match &app.spec {
        Ok(_) => Draft::Text(app.text.clone()),
        Err(error) => Draft::Problem(error.to_string()),
    };
    apps.iter()
        .map(|app| (app.id.as_str().to_owned(), draft(app)))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_is_read_as_a_daemon_reads_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("b.json", r#"{"reference": "a/b", "address": "127.0.0.1:1"}"#);
        write("a.json", r#"{"reference": "a/b", "adress": "127.0.0.1:1"}"#);
        write(".hidden.json", "{");
        write("notes.txt", "{");
        fs::create_dir(dir.path().join("c.json")).unwrap();
        let apps = inspect(dir.path()).unwrap();
        let seen: Vec<_> = apps
            .iter()
            .map(|app| (app.id.as_str(), app.spec.is_ok()))
            .collect();
        assert_eq!(seen, [("a", false), ("b", true)]);
        let missing = inspect(&dir.path().join("none.json")).unwrap();
        assert!(
            missing[0]
                .spec
                .as_ref()
                .unwrap_err()
                .to_string()
                .contains("no such file")
        );
    }

    #[test]
    fn the_later_of_two_files_that_claim_the_same_is_told_which_has_it() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        let app = |more: &str| format!("{{\"reference\": \"a/b\", \"address\": \"127.0.0.1:1\"{more}}}");
        write("a.json", &app(""));
        write("b.json", &app(", \"host\": \"b.example\""));
        write("c.json", &app(""));
        write("d.json", &app(", \"enabled\": false"));
        let told = conflicts(&inspect(dir.path()).unwrap());
        assert!(
            told[0].is_none() && told[1].is_none() && told[3].is_none(),
            "{told:?}"
        );
        let reason = told[2].as_deref().unwrap();
        assert!(
            reason.contains("held by app a (") && reason.contains("a.json"),
            "{reason}"
        );
    }
}
