//! What the guests `apis1`, `apis5` and `apis7` share: a script of calls comes in, a line for each result goes out.
//!
//! A script is lines of JSON, `["function", argument...]`. Each result is a line, `{"function": …, "result": …}`.
//! Values are written as in the interface definitions: cases and members by their names there, `{"ok": …}` and
//! `{"err": …}` for results, bytes as text or as `"0x…"` where they are none. A resource is the place it has among
//! those that the script made so far, from 0.

mod name;
mod read;
mod show;

use std::fmt;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

pub use show::show;

/// A script that can't be understood: the test's mistake.
#[derive(Debug)]
pub struct Misunderstood(String);

impl Misunderstood {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    pub fn function(name: &str) -> Self {
        Self(format!("no function {name}"))
    }
}

impl fmt::Display for Misunderstood {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misunderstood {}

/// One line of a script.
pub struct Call {
    pub function: String,
    arguments: std::vec::IntoIter<Value>,
}

impl Call {
    /// The next argument.
    pub fn next<T: DeserializeOwned>(&mut self) -> Result<T, Misunderstood> {
        let value = self.arguments.next();
        let value =
            value.ok_or_else(|| Misunderstood::new(format!("{}: too few arguments", self.function)))?;
        read::read(&value).map_err(|error| Misunderstood::new(format!("{}: {error}: {value}", self.function)))
    }

    /// The line that tells a result.
    pub fn line(&self, result: Value) -> String {
        format!("{}\n", json!({"function": self.function, "result": result}))
    }
}

/// The calls of a script.
pub fn script(body: &str) -> Result<Vec<Call>, Misunderstood> {
    body.lines().filter(|line| !line.is_empty()).map(parse).collect()
}

fn parse(line: &str) -> Result<Call, Misunderstood> {
    let not = || Misunderstood::new(format!("not a call: {line}"));
    let mut values: Vec<Value> = serde_json::from_str(line).map_err(|_| not())?;
    if values.is_empty() {
        return Err(not());
    }
    let Value::String(function) = values.remove(0) else {
        return Err(not());
    };
    Ok(Call {
        function,
        arguments: values.into_iter(),
    })
}

/// The resources of one kind that a script made.
pub struct Handles<T>(Vec<Option<T>>);

impl<T> Default for Handles<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Handles<T> {
    /// Keeps a new one; the result is its place.
    pub fn add(&mut self, made: T) -> Value {
        self.0.push(Some(made));
        Value::from(self.0.len() - 1)
    }

    /// Keeps a new one; the result names its place.
    pub fn keep<E: Serialize>(&mut self, made: Result<T, E>) -> Value {
        match made {
            Ok(resource) => json!({"ok": self.add(resource)}),
            Err(error) => json!({"err": show(&error)}),
        }
    }

    /// The one that the next argument names.
    pub fn get(&self, call: &mut Call) -> Result<&T, Misunderstood> {
        let place: usize = call.next()?;
        let found = self.0.get(place).and_then(Option::as_ref);
        found.ok_or_else(|| Misunderstood::new(format!("{}: nothing is at {place}", call.function)))
    }

    /// The same, which is no longer there afterwards.
    pub fn take(&mut self, call: &mut Call) -> Result<T, Misunderstood> {
        let place: usize = call.next()?;
        let found = self.0.get_mut(place).and_then(Option::take);
        found.ok_or_else(|| Misunderstood::new(format!("{}: nothing is at {place}", call.function)))
    }

    /// How many were made.
    pub fn made(&self) -> usize {
        self.0.len()
    }
}
