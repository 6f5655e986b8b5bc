//! The table: one row for each function, and for each situation in which it does something else.

use std::fmt::Write;

use serde_json::Value;

use super::case::{Section, TRAP};

#[derive(Default)]
pub struct Table {
    text: String,
    failures: Vec<String>,
}

/// Situations in which the guest may not have what it asks for: not an error of the interface's own, but a refusal.
const REFUSALS: [&str; 6] = [
    "the label is not granted",
    "the label is empty",
    "the model is not granted",
    "the address is not allowed",
    "to itself, which is not allowed",
    "a file is attached",
];

const HEAD: &str = "\
# Conformance

What guests get from every interface and trigger. Written by `LEPTON_WRITE_CONFORMANCE=1 tests/run conformance`; that test
fails where this file says anything else than what its run found. Every row was called by a guest of `tests/guests/`
in a real daemon, against the server that is named (`apis1-core` is a core module of the time before components; `vault` and
`down` are `apis5` with other servers). `…` stands for what differs from run to run.
";

impl Table {
    pub fn heading(&mut self, heading: &str) {
        let _ = write!(
            self.text,
            "\n## {heading}\n\n| interface | guest | backed by | function | when | outcome |\n|---|---|---|---|---|---|\n"
        );
    }

    /// The rows of a section that was run, and what went wrong in it.
    pub fn section(&mut self, section: &Section, failures: Vec<String>) {
        let mut seen: Vec<&str> = Vec::new();
        for call in &section.calls {
            let outcome = match (&call.expected, call.when) {
                (_, None) if seen.contains(&call.function) => continue,
                (_, None) => {
                    seen.push(call.function);
                    "works".to_owned()
                }
                (Value::String(text), _) if text == TRAP => text.clone(),
                (expected, Some(when)) => match (&expected["err"], &expected["late"]["err"]) {
                    (Value::Null, Value::Null) => "works".to_owned(),
                    (error, _) if REFUSALS.contains(&when) => format!("refused: `{error}`"),
                    (Value::Null, error) | (error, _) => format!("works, with the error `{error}`"),
                },
            };
            self.row(
                section.interface,
                section.app,
                section.backend,
                call.function,
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
        let outcome = outcome.replace('|', "\\|");
        let _ = writeln!(
            self.text,
            "| {interface} | {guest} | {backend} | `{function}` | {when} | {outcome} |"
        );
    }

    pub fn failures(&self) -> &[String] {
        &self.failures
    }

    pub fn text(&self) -> String {
        format!("{HEAD}{}", self.text)
    }
}
