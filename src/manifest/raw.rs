//! The members of an app, read one by one.
//!
//! Every check happens while its value is being read, so that the parser attaches the value's line and column to
//! the error. Derived code could not: it knows a bad address only after the whole file has been read.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use chrono_tz::Tz;
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, Visitor};

use super::health::{Health, HealthCheck};
use super::limits::{self, Limits};
use super::tls::{Tls, TlsMember};
use super::values::{Configuration, Delay, Hosts, Named, Policy, Switch, Table};
use super::{Address, AppId, AppSpec, PullPolicy};
use crate::net::{HostPattern, PathPrefix, Site};
use crate::oci::Source;
use crate::runtime_config::RuntimeConfigSource;

/// Every member that an app may have.
pub(super) const MEMBERS: &[&str] = &[
    "reference",
    "address",
    "host",
    "path",
    "strip_path",
    "health",
    "state_dir",
    "$schema",
    "variables",
    "environment",
    "enabled",
    "drain_timeout",
    "pull",
    "runtime_config",
    "timezone",
    "limits",
    "tls",
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
        let site = members.site()?;
        if let Some(tls) = &members.tls {
            tls.fits(members.address.as_ref(), &site)
                .map_err(M::Error::custom)?;
        }
        Ok(AppSpec {
            reference: members.reference.ok_or_else(missing_reference)?.into(),
            address: members.address.unwrap_or(Address::Absent),
            site,
            health: members.health.map(Box::new),
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
            limits: members.limits.map(Box::new),
            tls: members.tls.map(Box::new),
        })
    }
}

#[derive(Default)]
struct Members {
    reference: Option<Source>,
    address: Option<Address>,
    host: Option<Vec<HostPattern>>,
    path: Option<PathPrefix>,
    strip_path: Option<bool>,
    health: Option<HealthCheck>,
    state_dir: Option<PathBuf>,
    variables: Option<BTreeMap<String, super::VariableValue>>,
    environment: Option<BTreeMap<String, String>>,
    enabled: Option<bool>,
    drain_timeout: Option<std::time::Duration>,
    pull: Option<PullPolicy>,
    runtime_config: Option<RuntimeConfigSource>,
    timezone: Option<Tz>,
    limits: Option<Limits>,
    tls: Option<Tls>,
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
            "host" => put(&mut self.host, name, map, Hosts { name }),
            "path" => {
                let read = |text: &str| PathPrefix::parse(text).map_err(|e| format!("{name:?} {e}"));
                put(&mut self.path, name, map, Named::text(name, read))
            }
            "strip_path" => put(&mut self.strip_path, name, map, Switch { name }),
            "health" => put(&mut self.health, name, map, Health),
            "state_dir" => put(&mut self.state_dir, name, map, Named::text(name, state_dir)),
            "variables" => put(&mut self.variables, name, map, Table::variables(base_dir)),
            "environment" => put(&mut self.environment, name, map, Table::environment()),
            "enabled" => put(&mut self.enabled, name, map, Switch { name }),
            "drain_timeout" => put(&mut self.drain_timeout, name, map, Delay { name }),
            "pull" => put(&mut self.pull, name, map, Policy { name }),
            "runtime_config" => put(&mut self.runtime_config, name, map, Configuration { base_dir }),
            "timezone" => put(&mut self.timezone, name, map, Named::text(name, timezone)),
            "limits" => put(&mut self.limits, name, map, limits::Object),
            "tls" => put(&mut self.tls, name, map, TlsMember { base_dir }),
            // `$schema`: for editors.
            _ => map.next_value::<IgnoredAny>().map(drop),
        }
    }
}

impl Members {
    fn site<E: Error>(&mut self) -> Result<Site, E> {
        let site = Site {
            hosts: self.host.take().unwrap_or_default(),
            path: self.path.take().unwrap_or_default(),
            strip_path: self.strip_path.unwrap_or_default(),
        };
        if site.strip_path && site.path == PathPrefix::default() {
            return Err(E::custom(
                "\"strip_path\" needs a path to remove; add for instance \"path\": \"/shop\", or leave it out",
            ));
        }
        if site != Site::default() && self.address.is_none() {
            return Err(E::custom(
                "\"host\" and \"path\" say where at an address the app is; add for instance \"address\": \"127.0.0.1:3000\"",
            ));
        }
        Ok(site)
    }
}

/// Reads a member's value into its place, which must still be empty.
pub(super) fn put<'de, M, S>(
    place: &mut Option<S::Value>,
    name: &str,
    map: &mut M,
    seed: S,
) -> Result<(), M::Error>
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
        Err(E::custom(match meant(name, MEMBERS) {
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
