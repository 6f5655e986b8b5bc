//! The member `health`.

use std::fmt;
use std::time::Duration;

use http::uri::PathAndQuery;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, Visitor};

use super::raw::put;
use super::values::{Delay, Named};

/// How long a version may take where the file does not say.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a new version has to answer with 2xx before it takes its place: `"/healthz"`, or
/// `{"path": "/healthz", "timeout": "10s"}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// As the app's routes see it: without what `strip_path` removes.
    pub path: PathAndQuery,
    /// It is asked again and again for as long as this.
    pub timeout: Duration,
}

/// Reads a [`HealthCheck`].
pub(super) struct Health;

impl<'de> DeserializeSeed<'de> for Health {
    type Value = HealthCheck;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<HealthCheck, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Health {
    type Value = HealthCheck;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a path such as \"/healthz\", or {\"path\": \"/healthz\", \"timeout\": \"10s\"}, for \"health\"",
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<HealthCheck, E> {
        let (path, timeout) = (path(text).map_err(E::custom)?, TIMEOUT);
        Ok(HealthCheck { path, timeout })
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<HealthCheck, M::Error> {
        let (mut at, mut timeout) = (None, None);
        while let Some(name) = map.next_key::<String>()? {
            match &*name {
                "path" => put(&mut at, &name, &mut map, Named::text(&name, path))?,
                "timeout" => put(&mut timeout, &name, &mut map, Delay { name: &name })?,
                _ => {
                    return Err(M::Error::custom(format!(
                        "unknown member {name:?} of \"health\"; it may have path, timeout"
                    )));
                }
            }
        }
        let missing =
            || M::Error::custom("\"health\" has no \"path\"; add for instance \"path\": \"/healthz\"");
        Ok(HealthCheck {
            path: at.ok_or_else(missing)?,
            timeout: timeout.unwrap_or(TIMEOUT),
        })
    }
}

fn path(text: &str) -> Result<PathAndQuery, String> {
    let good = text.starts_with('/').then(|| text.parse().ok()).flatten();
    good.ok_or_else(|| format!("\"health\" is {text:?}, not a path such as \"/healthz\""))
}
