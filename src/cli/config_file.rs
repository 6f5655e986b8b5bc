//! The file of `--config`: TOML, whose keys are the long names of options.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde_json::Value;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::layers::{Setting, Text, base_of};

/// How alike a key is to a known one when that is taken for meant.
const LIKENESS: f64 = 0.8;

/// What the file says of the options `known`, in the order of the file.
///
/// # Errors
/// The first thing wrong with it, with its place.
pub(super) fn read(file: &Path, known: &[&str]) -> Result<Vec<(String, Setting)>, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the configuration {} can't be read: {error}", file.display()))?;
    parse(&text, file, known)
}

fn parse(text: &str, file: &Path, known: &[&str]) -> Result<Vec<(String, Setting)>, String> {
    let place = |span: Range<usize>| {
        let (line, column) = position(text, span.start);
        format!("{}:{line}:{column}", file.display())
    };
    let table = DeTable::parse(text).map_err(|error| {
        let at = place(error.span().unwrap_or_default());
        format!("{at}: {}", error.message().replace('\n', ", "))
    })?;
    let base = base_of(file);
    let mut entries: Vec<_> = table.get_ref().iter().collect();
    entries.sort_by_key(|(key, _)| key.span().start);
    let settings = entries.into_iter().map(|(key, value)| {
        let name = key.get_ref().as_ref();
        if !known.contains(&name) {
            return Err(format!("{}: {}", place(key.span()), unknown(name, known)));
        }
        let at = place(value.span());
        let values = values(value, &base).map_err(|reason| format!("{at}: {reason}"))?;
        Ok((name.to_owned(), Setting { place: at, values }))
    });
    settings.collect()
}

fn unknown(name: &str, known: &[&str]) -> String {
    let plain = name.to_lowercase().replace('_', "-");
    let likeness = |known: &str| strsim::jaro_winkler(&plain, known);
    let best = known.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    match best.filter(|best| likeness(best) >= LIKENESS) {
        Some(meant) => format!("unknown option {name:?}; did you mean {meant:?}?"),
        None => format!("unknown option {name:?}; the file may have {}", known.join(", ")),
    }
}

/// A list has a value for each element; anything else is one. Tables are handed on as JSON, which is how such an option is
/// written on the command line.
fn values(value: &Spanned<DeValue<'_>>, base: &Path) -> Result<Vec<Text>, String> {
    let one = |value: &DeValue<'_>| {
        Ok(Text {
            text: match json(value)? {
                Value::String(text) => text.into(),
                other => other.to_string().into(),
            },
            base: Some(PathBuf::from(base)),
        })
    };
    match value.get_ref() {
        DeValue::Array(elements) => elements.iter().map(|element| one(element.get_ref())).collect(),
        value => Ok(vec![one(value)?]),
    }
}

fn json(value: &DeValue<'_>) -> Result<Value, String> {
    Ok(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Integer(digits) => i64::from_str_radix(digits.as_str(), digits.radix())
            .map_err(|error| format!("{}: {error}", digits.as_str()))?
            .into(),
        DeValue::Float(digits) => digits
            .as_str()
            .parse::<f64>()
            .map_err(|error| format!("{}: {error}", digits.as_str()))?
            .into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(elements) => elements
            .iter()
            .map(|element| json(element.get_ref()))
            .collect::<Result<Vec<_>, _>>()?
            .into(),
        DeValue::Table(members) => {
            let members = members.iter().map(|(name, member)| {
                let name = name.get_ref().to_string();
                Ok((name, json(member.get_ref())?))
            });
            Value::Object(members.collect::<Result<_, String>>()?)
        }
    })
}

/// Line and column of a byte, both from 1.
fn position(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |end| end + 1);
    (
        before.matches('\n').count() + 1,
        before[line_start..].chars().count() + 1,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["drain-timeout", "limits", "trusted-proxy", "state-root"];

    fn read(text: &str) -> Result<Vec<(String, String, Vec<String>)>, String> {
        let settings = parse(text, Path::new("/etc/tauon.toml"), &KNOWN)?;
        let settings = settings.into_iter().map(|(name, setting)| {
            let values = setting.values.into_iter();
            let values = values.map(|value| value.text.into_string().unwrap());
            (name, setting.place, values.collect())
        });
        Ok(settings.collect())
    }

    #[test]
    fn each_kind_of_value_becomes_what_the_command_line_would_say() {
        let text = "trusted-proxy = [\"10.0.0.0/8\", 'unix']\ndrain-timeout = \"1m\"\n\n[limits]\nmemory = \"1MiB\"\nrequests = 0x10\nrate = 0.5\n";
        let settings = read(text).unwrap();
        let (names, places): (Vec<_>, Vec<_>) = settings
            .iter()
            .map(|(name, place, _)| (name.as_str(), place.as_str()))
            .unzip();
        assert_eq!(names, ["trusted-proxy", "drain-timeout", "limits"]);
        assert_eq!(places[1], "/etc/tauon.toml:2:17");
        assert_eq!(settings[0].2, ["10.0.0.0/8", "unix"]);
        assert_eq!(settings[2].2, [r#"{"memory":"1MiB","rate":0.5,"requests":16}"#]);
    }

    #[test]
    fn a_mistake_is_told_with_its_place_and_what_was_meant() {
        for (text, problem) in [
            (
                "\n  drain_timeout = '1m'",
                "/etc/tauon.toml:2:3: unknown option \"drain_timeout\"; did you mean \"drain-timeout\"?",
            ),
            (
                "colour = 1",
                "/etc/tauon.toml:1:1: unknown option \"colour\"; the file may have drain-timeout, limits",
            ),
            ("state-root = ", "/etc/tauon.toml:1:1"),
            ("limits = {", "/etc/tauon.toml:1:1"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }
}
