//! A directory to begin with: an app file to fill in, its schema, and what the members mean.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::control::inspect;
use crate::manifest::app_schema;
use crate::oci::Source;

/// Begins with a dot: no app file.
const SCHEMA: &str = ".schema.json";
const README: &str = "README.md";
const EXAMPLE_REFERENCE: &str = "ghcr.io/me/app:v1";
/// Of an app file whose app has no name.
const NAME: &str = "app";
const ADDRESS: &str = "127.0.0.1:3000";

/// A file of the directory.
#[derive(Debug, PartialEq, Eq)]
pub struct Made {
    pub path: PathBuf,
    /// `false`: it was there, and is as it was.
    pub written: bool,
}

/// Makes the directory and what it lacks of the files; writes over nothing. An app file is among them unless there is one
/// already: with the reference it serves that app, and without one it is an example that is switched off.
///
/// # Errors
/// What is no reference, and what can't be written.
pub fn init_directory(dir: &Path, reference: Option<&str>) -> Result<Vec<Made>> {
    let source = reference.map(|text| Source::parse(text, dir)).transpose()?;
    let name = source.map_or_else(String::new, |source| source.name());
    // A name that begins with a dot is no app file's.
    let name = match name.trim_start_matches('.') {
        "" => NAME,
        name => name,
    };
    fs::create_dir_all(dir).with_context(|| format!("can't create the directory {}", dir.display()))?;
    let apps = inspect(dir).with_context(|| format!("can't list the directory {}", dir.display()))?;
    let app = (apps.is_empty() || reference.is_some()).then(|| (format!("{name}.json"), app_file(reference)));
    let schema = app_schema();
    let files = app.into_iter().chain([
        (README.to_owned(), readme(&schema)),
        (SCHEMA.to_owned(), format!("{schema:#}\n")),
    ]);
    files
        .map(|(name, content)| {
            let path = dir.join(name);
            let written =
                write_new(&path, &content).with_context(|| format!("can't write {}", path.display()))?;
            Ok(Made { path, written })
        })
        .collect()
}

/// In the order in which people write the members.
fn app_file(reference: Option<&str>) -> String {
    let text = |value: &str| json!(value).to_string();
    let mut file = format!(
        "{{\n  \"$schema\": {},\n  \"reference\": {},\n  \"address\": {}",
        text(SCHEMA),
        text(reference.unwrap_or(EXAMPLE_REFERENCE)),
        text(ADDRESS),
    );
    if reference.is_none() {
        file.push_str(",\n  \"enabled\": false");
    }
    file.push_str("\n}\n");
    file
}

/// JSON has no comments: what they would say stands beside it, and editors show it from the schema.
fn readme(schema: &Value) -> String {
    let mut text = format!(
        "# App files\n\n\
         Each `*.json` here is one Spin app that `tauon` serves: drop a file in and its app starts, edit it and the app is \
         redeployed, delete it and the app stops. Names that begin with a dot are ignored.\n\n\
         - `\"$schema\": \"{SCHEMA}\"` has editors complete and explain what follows; `tauon schema > {SCHEMA}` writes it anew.\n\
         - `tauon check` reads the files without running them; `tauon diff` says what a change would do.\n\n\
         ## Members\n"
    );
    let required = |name: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|all| all.contains(&json!(name)))
    };
    for (name, member) in schema["properties"].as_object().into_iter().flatten() {
        let meaning = member["description"]
            .as_str()
            .unwrap_or_default()
            .replace('\n', " ");
        let needed = if required(name) { " Required." } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(text, "\n- `{name}`: {meaning}{needed}");
        if let Some(example) = example(schema, member) {
            let _ = write!(text, " For example `{example}`.");
        }
    }
    text.push('\n');
    text
}

/// Of a member, wherever its schema has one.
fn example<'s>(schema: &'s Value, member: &'s Value) -> Option<&'s Value> {
    let own = member["examples"].get(0);
    own.or_else(|| {
        let shape = member["$ref"].as_str()?.strip_prefix("#/$defs/")?;
        schema["$defs"][shape]["examples"].get(0)
    })
}

/// `false`: there is something of that name.
fn write_new(path: &Path, content: &str) -> io::Result<bool> {
    match File::create_new(path) {
        Ok(mut file) => file.write_all(content.as_bytes()).map(|()| true),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(dir: &Path, reference: Option<&str>) -> Vec<(String, bool)> {
        let files = init_directory(dir, reference).unwrap().into_iter();
        let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
        files.map(|file| (name(&file.path), file.written)).collect()
    }

    #[test]
    fn a_directory_gets_what_it_lacks_and_nothing_is_written_over() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("new/apps");
        let all = |written| ["app.json", "README.md", ".schema.json"].map(|name| (name.to_owned(), written));
        assert_eq!(made(&dir, None), all(true));
        fs::write(dir.join("README.md"), "mine").unwrap();
        assert_eq!(made(&dir, None), all(false)[1..]);
        assert_eq!(fs::read_to_string(dir.join("README.md")).unwrap(), "mine");

        let apps = inspect(&dir).unwrap();
        assert_eq!(apps.len(), 1);
        assert!(!apps[0].spec.as_ref().unwrap().enabled);
    }

    #[test]
    fn a_reference_makes_an_app_file_that_is_on() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(
            made(dir.path(), Some("ghcr.io/me/shop:v2"))[0],
            ("shop.json".to_owned(), true)
        );
        let apps = inspect(dir.path()).unwrap();
        let spec = apps[0].spec.as_ref().unwrap();
        assert!(spec.enabled && spec.reference.to_string() == "ghcr.io/me/shop:v2");
        assert_eq!(made(dir.path(), Some("oci:.hidden:v1"))[0].0, "hidden.json");
        assert!(init_directory(dir.path(), Some("Not A Reference")).is_err());
    }

    #[test]
    fn what_each_member_means_stands_beside_the_file() {
        let text = readme(&app_schema());
        assert!(
            text.contains("- `reference`: What to run") && text.contains("Required."),
            "{text}"
        );
        assert!(text.contains("`tls`") && text.contains("`limits`"));
    }
}
