//! The table: one row for each function, and for each situation in which it does something else.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde_json::Value;

use super::case::{Section, TRAP};

#[derive(Default)]
pub struct Table {
    text: String,
    failures: Vec<String>,
    /// Interface, guest, backend and function of those rows that name no situation.
    ordinary: BTreeSet<[String; 4]>,
    /// Interface and function of every row.
    called: BTreeSet<(String, String)>,
}

/// Situations in which the guest may not have what it asks for: not an error of the interface's own, but a refusal.
const REFUSALS: [&str; 10] = [
    "the label is not granted",
    "the label is empty",
    "the model is not granted",
    "the address is not allowed",
    "to itself, which is not allowed",
    "a file is attached",
    "files are mounted for reading only",
    "guests may not listen",
    "no allowed host spells the name out",
    "no entry allows the local address",
];

/// The same, of a header's name: what such a situation ends with.
const HOSTS_OWN: &str = "which the host sets";

const HEAD: &str = "\
# Conformance

What guests get from every interface and trigger. Written by `LEPTON_WRITE_CONFORMANCE=1 tests/run conformance`; that test
fails where this file says anything else than what its run found. Every row was called by a guest of `tests/guests/`
in a real daemon, against the server that is named (`apis1-core` is a core module of the time before components; `vault` and
`down` are `apis5` with other servers; `wasi2` and `wasi3` have no standard library in between). A version of WASI 0.2 serves
the guests of all earlier ones. `…` stands for what differs from run to run. The rows backed by moto need a build with
`--features aws`.
";

/// What backs the rows of a build with the feature `aws`.
const OF_THE_FEATURE: &str = " (moto) |";

/// The part of the kept table that this build's guests can be asked for.
pub fn of_this_build(kept: &str) -> String {
    kept.split_inclusive('\n')
        .filter(|line| cfg!(feature = "aws") || !line.contains(OF_THE_FEATURE))
        .collect()
}

impl Table {
    pub fn heading(&mut self, heading: &str) {
        let _ = write!(
            self.text,
            "\n## {heading}\n\n| interface | guest | backed by | function | when | outcome |\n|---|---|---|---|---|---|\n"
        );
    }

    /// The rows of a section that was run, and what went wrong in it.
    pub fn section(&mut self, section: &Section, failures: Vec<String>) {
        for call in &section.calls {
            let (interface, function) = section.names(call);
            let outcome = match (&call.expected, call.when) {
                (_, None) => {
                    let key = [interface.as_str(), section.app, section.backend, function].map(str::to_owned);
                    if !self.ordinary.insert(key) {
                        continue;
                    }
                    "works".to_owned()
                }
                (Value::String(text), _) if text == TRAP => text.clone(),
                (expected, Some(when)) => match error(expected) {
                    None => "works".to_owned(),
                    Some(error) if REFUSALS.contains(&when) || when.ends_with(HOSTS_OWN) => {
                        format!("refused: `{error}`")
                    }
                    Some(Value::Null) => "works, with an error".to_owned(),
                    Some(error) => format!("works, with the error `{error}`"),
                },
            };
            self.row(
                &interface,
                section.app,
                section.backend,
                function,
                call.when.unwrap_or_default(),
                &outcome,
            );
        }
        self.failures.extend(failures);
    }

    pub fn row(
        &mut self,
        interface: &str,
        guest: &str,
        backend: &str,
        function: &str,
        when: &str,
        outcome: &str,
    ) {
        self.called.insert((interface.to_owned(), function.to_owned()));
        let outcome = outcome.replace('|', "\\|");
        let _ = writeln!(
            self.text,
            "| {interface} | {guest} | {backend} | `{function}` | {when} | {outcome} |"
        );
    }

    /// Whether a row tells of that function: `interface` by its own name, by its package's, or with a shorter version.
    pub fn tells_of(&self, interface: &str, function: &str) -> bool {
        let package = interface.split('/').next().unwrap_or_default();
        let version = interface.split_once('@').map_or("", |(_, version)| version);
        let package = format!("{package}@{version}");
        self.called.iter().any(|(told, called)| {
            called == function
                && (told == interface
                    || *told == package
                    || interface
                        .strip_prefix(told.as_str())
                        .is_some_and(|rest| rest.starts_with('.')))
        })
    }

    pub fn fail(&mut self, failure: String) {
        self.failures.push(failure);
    }

    /// A section of the document that is no table.
    pub fn list(&mut self, heading: &str, lines: impl IntoIterator<Item = String>) {
        let _ = write!(self.text, "\n## {heading}\n\n");
        for line in lines {
            let _ = writeln!(self.text, "- {line}");
        }
    }

    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    pub fn text(&self) -> String {
        format!("{HEAD}{}", self.text)
    }
}

/// The error in what is expected: of the result, of what came late, or of what a stream ended with.
fn error(expected: &Value) -> Option<&Value> {
    match expected {
        Value::Object(result) => result.get("err").or_else(|| result.get("late")?.get("err")),
        Value::Array(parts) => parts.last().and_then(error),
        _ => None,
    }
}
