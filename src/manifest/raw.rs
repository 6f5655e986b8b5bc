//! The members of an app, read one by one.
//!
//! Every check happens while its value is being read, so that the parser attaches the value's line and column to
//! the error. Derived code could not: it knows a bad address only after the whole file has been read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::values::{Configuration, Delay, Named, Policy, Table};
use super::{Address, AppId, AppSpec, PullPolicy};
use crate::oci::Source;
use crate::runtime_config::RuntimeConfigSource;

/// Every member that an app may have.
const MEMBERS: [&str; 11] = [
    "reference",
    "address",
    "state_dir",
    "$schema",
    "variables",
    "environment",
    "enabled",
    "drain_timeout",
    "pull",
    "runtime_config",
    "timezone",
];
/// How alike (0 to 1) a wrong name must be to one that was probably meant.
const LIKENESS: f64 = 0.7;

/// Reads one app. Paths are relative to `base_dir`; `id` is the default of `state_dir`.
pub(super) fn parse(json: &str, base_dir: &Path, id: &AppId) -> Result<AppSpec, serde_json::Error> {
    let mut input = serde_json::Deserializer::from_str(json);
    let spec = App { base_dir, id }.deserialize(&mut input)?;
    input.end()?;
    Ok(spec)
}

struct App<'a> {
    base_dir: &'a Path,
    id: &'a AppId,
}

impl<'de> DeserializeSeed<'de> for App<'_> {
    type Value = AppSpec;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<AppSpec, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for App<'_> {
    type Value = AppSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with \"reference\" and, for HTTP, \"address\"")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<AppSpec, M::Error> {
        let mut members = Members::default();
        while let Some(name) = map.next_key_seed(MemberName)? {
            members.read(name, &mut map, self.base_dir)?;
        }
        Ok(AppSpec {
            reference: members.reference.ok_or_else(missing_reference)?,
            address: members.address.unwrap_or(Address::Absent),
            state_dir: members
                .state_dir
                .unwrap_or_else(|| PathBuf::from(self.id.as_str())),
            variables: members.variables.unwrap_or_default(),
            environment: members.environment.unwrap_or_default(),
            enabled: members.enabled.unwrap_or(true),
            drain_timeout: members.drain_timeout,
            pull: members.pull.unwrap_or_default(),
            runtime_config: members.runtime_config,
            timezone: members.timezone,
        })
    }
}

#[derive(Default)]
struct Members {
    reference: Option<Source>,
    address: Option<Address>,
    state_dir: Option<PathBuf>,
    variables: Option<BTreeMap<String, super::VariableValue>>,
    environment: Option<BTreeMap<String, String>>,
    enabled: Option<bool>,
    drain_timeout: Option<std::time::Duration>,
    pull: Option<PullPolicy>,
    runtime_config: Option<RuntimeConfigSource>,
    timezone: Option<Tz>,
}

impl Members {
    fn read<'de, M: MapAccess<'de>>(
        &mut self,
        name: &'static str,
        map: &mut M,
        base_dir: &Path,
    ) -> Result<(), M::Error> {
        match name {
            "reference" => {
                let read = |text: &str| Source::parse(text, base_dir).map_err(|e| e.to_string());
                put(&mut self.reference, name, map, Named::text(name, read))
            }
            "address" => {
                let read = |text: &str| Address::parse(text, base_dir).map_err(|e| e.to_string());
                put(&mut self.address, name, map, Named::text(name, read))
            }
            "state_dir" => put(&mut self.state_dir, name, map, Named::text(name, state_dir)),
            "variables" => put(&mut self.variables, name, map, Table::variables(base_dir)),
            "environment" => put(&mut self.environment, name, map, Table::environment()),
            "enabled" => put(&mut self.enabled, name, map, super::values::Switch { name }),
            "drain_timeout" => put(&mut self.drain_timeout, name, map, Delay { name }),
            "pull" => put(&mut self.pull, name, map, Policy { name }),
            "runtime_config" => put(&mut self.runtime_config, name, map, Configuration { base_dir }),
            "timezone" => put(&mut self.timezone, name, map, Named::text(name, timezone)),
            // `$schema`: for editors.
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

/// Reads a member's value into its place, which must still be empty.
fn put<'de, M, S>(place: &mut Option<S::Value>, name: &str, map: &mut M, seed: S) -> Result<(), M::Error>
where
    M: MapAccess<'de>,
    S: DeserializeSeed<'de>,
{
    if place.is_some() {
        return Err(M::Error::custom(format!(
            "member {name:?} stands here twice; remove one"
        )));
    }
    *place = Some(map.next_value_seed(seed)?);
    Ok(())
}

fn missing_reference<E: Error>() -> E {
    E::custom("member \"reference\" is missing; add for instance \"reference\": \"ghcr.io/owner/app:v1\"")
}

fn timezone(text: &str) -> Result<Tz, String> {
    text.parse()
        .map_err(|_| format!("\"timezone\" is {text:?}, not a name such as \"Europe/Berlin\" or \"UTC\""))
}

fn state_dir(text: &str) -> Result<PathBuf, String> {
    if text.trim().is_empty() {
        return Err("\"state_dir\" is empty; leave it out for a directory named like the file".to_owned());
    }
    Ok(PathBuf::from(text))
}

/// One of [`MEMBERS`]; any other is an error at its own place.
struct MemberName;

impl<'de> DeserializeSeed<'de> for MemberName {
    type Value = &'static str;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<&'static str, D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for MemberName {
    type Value = &'static str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name of a member")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static str, E> {
        if let Some(known) = MEMBERS.iter().find(|known| **known == name) {
            return Ok(known);
        }
        Err(E::custom(match meant(name, &MEMBERS) {
            Some(meant) => format!("unknown member {name:?}; did you mean {meant:?}?"),
            None => format!("unknown member {name:?}; an app may have {}", MEMBERS.join(", ")),
        }))
    }
}

/// The name that was probably meant.
pub(super) fn meant(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let plain = name.to_lowercase().replace('-', "_");
    let likeness = |known: &str| strsim::jaro_winkler(&plain, known);
    known
        .iter()
        .copied()
        .max_by(|a, b| likeness(a).total_cmp(&likeness(b)))
        .filter(|best| likeness(best) >= LIKENESS)
}
