//! Cases as data: which call, and what has to come back.

use serde_json::{Value, json};

/// A script: calls that one instance makes one after the other.
pub struct Section {
    /// As the table names it, with version. `*` stands for what the calls name before a `#`.
    pub interface: &'static str,
    /// What stands behind it.
    pub backend: &'static str,
    pub app: &'static str,
    /// How the guest knows the interface.
    pub path: String,
    pub calls: Vec<Call>,
}

pub struct Call {
    pub function: &'static str,
    pub arguments: Value,
    /// With `…` in texts for what may be anything.
    pub expected: Value,
    pub when: Option<&'static str>,
}

/// What the last call of a section expects when the guest has to end there.
pub const TRAP: &str = "the guest is ended";

pub fn section(
    interface: &'static str,
    backend: &'static str,
    app: &'static str,
    path: &str,
    calls: Vec<Call>,
) -> Section {
    Section {
        interface,
        backend,
        app,
        path: path.into(),
        calls,
    }
}

/// A call and its result.
pub fn call(function: &'static str, arguments: Value, expected: Value) -> Call {
    Call {
        function,
        arguments,
        expected,
        when: None,
    }
}

impl Call {
    /// The situation, where the table has a row for it.
    pub fn when(mut self, when: &'static str) -> Self {
        self.when = Some(when);
        self
    }
}

pub fn ok(value: impl Into<Value>) -> Value {
    json!({"ok": value.into()})
}

pub fn err(value: impl Into<Value>) -> Value {
    json!({"err": value.into()})
}

impl Section {
    pub fn script(&self) -> String {
        let lines = self.calls.iter().map(|call| {
            let mut line = vec![Value::from(call.function)];
            line.extend(
                call.arguments
                    .as_array()
                    .expect("a list of arguments")
                    .iter()
                    .cloned(),
            );
            format!("{}\n", Value::from(line))
        });
        lines.collect()
    }

    /// The interface and the function of a call, as the table names them.
    pub fn names<'a>(&self, call: &'a Call) -> (String, &'a str) {
        match call.function.split_once('#') {
            Some((interface, function)) => (self.interface.replace('*', interface), function),
            None => (self.interface.to_owned(), call.function),
        }
    }

    /// Whether the guest has to end at the last call.
    pub fn traps(&self) -> bool {
        self.calls.last().is_some_and(|call| call.expected == TRAP)
    }
}

/// Whether that is what was expected.
pub fn matches(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::String(anything), _) if anything == "…" => true,
        (Value::String(expected), Value::String(got)) => text_matches(expected, got),
        (Value::Array(expected), Value::Array(got)) => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .zip(got)
                    .all(|(expected, got)| matches(expected, got))
        }
        (Value::Object(expected), Value::Object(got)) => {
            expected.len() == got.len()
                && expected
                    .iter()
                    .all(|(name, expected)| got.get(name).is_some_and(|got| matches(expected, got)))
        }
        _ => expected == got,
    }
}

fn text_matches(expected: &str, got: &str) -> bool {
    let mut parts = expected.split('…');
    let Some(mut rest) = parts.next().and_then(|first| got.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<_> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}
