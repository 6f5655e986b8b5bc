//! The values of an app's members, each checked while it is being read.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::{PullPolicy, Secret, VariableValue};
use crate::credentials;
use crate::net::HostPattern;
use crate::runtime_config::{RuntimeConfig, RuntimeConfigSource};

/// A text that a function turns into the value, or refuses with a reason.
pub(super) struct Named<'a, F, T> {
    name: &'a str,
    read: F,
    value: PhantomData<T>,
}

impl<'a, F: FnOnce(&str) -> Result<T, String>, T> Named<'a, F, T> {
    pub(super) fn text(name: &'a str, read: F) -> Self {
        let value = PhantomData;
        Named { name, read, value }
    }
}

impl<'de, F: FnOnce(&str) -> Result<T, String>, T> DeserializeSeed<'de> for Named<'_, F, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<T, D::Error> {
        input.deserialize_str(self)
    }
}

impl<F: FnOnce(&str) -> Result<T, String>, T> Visitor<'_> for Named<'_, F, T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string for {:?}", self.name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        (self.read)(text).map_err(E::custom)
    }
}

/// `true` or `false`.
pub(super) struct Switch<'a> {
    pub(super) name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Switch<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<bool, D::Error> {
        input.deserialize_bool(self)
    }
}

impl Visitor<'_> for Switch<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "true or false for {:?}", self.name)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<bool, E> {
        Ok(value)
    }
}

/// One host or a list of hosts.
pub(super) struct Hosts<'a> {
    pub(super) name: &'a str,
}

impl Hosts<'_> {
    fn add<E: Error>(&self, hosts: &mut Vec<HostPattern>, text: &str) -> Result<(), E> {
        let host = HostPattern::parse(text).map_err(|e| E::custom(format!("{:?} {e}", self.name)))?;
        if hosts.contains(&host) {
            let problem = format!("{text:?} stands in {:?} twice; remove one", self.name);
            return Err(E::custom(problem));
        }
        hosts.push(host);
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for Hosts<'_> {
    type Value = Vec<HostPattern>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Hosts<'_> {
    type Value = Vec<HostPattern>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a host name or a list of them for {:?}", self.name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let mut hosts = Vec::new();
        self.add(&mut hosts, text)?;
        Ok(hosts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut hosts = Vec::new();
        while list
            .next_element_seed(OneOf {
                hosts: &mut hosts,
                of: &self,
            })?
            .is_some()
        {}
        if hosts.is_empty() {
            let problem = format!("{:?} is an empty list; leave it out for every host", self.name);
            return Err(A::Error::custom(problem));
        }
        Ok(hosts)
    }
}

/// One entry of a list of hosts, read in its place so that a mistake is told with it.
struct OneOf<'a> {
    hosts: &'a mut Vec<HostPattern>,
    of: &'a Hosts<'a>,
}

impl<'de> DeserializeSeed<'de> for OneOf<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<(), D::Error> {
        input.deserialize_str(self)
    }
}

impl Visitor<'_> for OneOf<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a host name in the list of {:?}", self.of.name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.of.add(self.hosts, text)
    }
}

/// A duration: `"30s"`, `"5m"`, or a number of seconds.
pub(super) struct Delay<'a> {
    pub(super) name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Delay<'_> {
    type Value = Duration;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Duration, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for Delay<'_> {
    type Value = Duration;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a duration such as \"30s\" or \"5m\", or a number of seconds, for {:?}",
            self.name
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Duration, E> {
        duration(self.name, text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<Duration, E> {
        Ok(Duration::from_secs(seconds))
    }

    fn visit_f64<E: Error>(self, seconds: f64) -> Result<Duration, E> {
        let problem = |_| E::custom(format!("{:?} can't be {seconds} seconds", self.name));
        Duration::try_from_secs_f64(seconds).map_err(problem)
    }
}

pub(super) fn duration(name: &str, text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text)
        .map_err(|e| format!("{name:?} is {text:?}, not a duration such as \"30s\" or \"5m\" ({e})"))
}

/// A path to a TOML file, or the same content as an object.
pub(super) struct Configuration<'a> {
    pub(super) base_dir: &'a Path,
}

impl<'de> DeserializeSeed<'de> for Configuration<'_> {
    type Value = RuntimeConfigSource;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<RuntimeConfigSource, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Configuration<'_> {
    type Value = RuntimeConfigSource;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the path of a TOML file, or an object, for \"runtime_config\"")
    }

    fn visit_str<E: Error>(self, path: &str) -> Result<RuntimeConfigSource, E> {
        Ok(RuntimeConfigSource::File(self.base_dir.join(path)))
    }

    fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<RuntimeConfigSource, M::Error> {
        let mut config = RuntimeConfig::deserialize(MapAccessDeserializer::new(map))?;
        config.resolve_operator_paths(self.base_dir);
        Ok(RuntimeConfigSource::Inline(Box::new(config)))
    }
}

/// `"always"`, `"if-not-present"`, or an interval.
pub(super) struct Policy<'a> {
    pub(super) name: &'a str,
}

impl<'de> DeserializeSeed<'de> for Policy<'_> {
    type Value = PullPolicy;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<PullPolicy, D::Error> {
        input.deserialize_any(self)
    }
}

impl Visitor<'_> for Policy<'_> {
    type Value = PullPolicy;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "\"always\", \"if-not-present\", or an interval such as \"5m\", for {:?}",
            self.name
        )
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PullPolicy, E> {
        match text {
            "always" => Ok(PullPolicy::Always),
            "if-not-present" => Ok(PullPolicy::IfNotPresent),
            _ if text.starts_with(|c: char| c.is_ascii_digit()) => {
                interval(duration(self.name, text).map_err(E::custom)?)
            }
            _ => Err(E::custom(
                match super::raw::meant(text, &["always", "if-not-present"]) {
                    Some(meant) => format!("unknown pull policy {text:?}; did you mean {meant:?}?"),
                    None => format!(
                        "unknown pull policy {text:?}; it is \"always\", \"if-not-present\", or an interval such as \"5m\""
                    ),
                },
            )),
        }
    }

    fn visit_u64<E: Error>(self, seconds: u64) -> Result<PullPolicy, E> {
        interval(Duration::from_secs(seconds))
    }
}

fn interval<E: Error>(every: Duration) -> Result<PullPolicy, E> {
    if every.is_zero() {
        return Err(E::custom(
            "a pull interval of nothing would never rest; \"always\" resolves at each start and edit",
        ));
    }
    Ok(PullPolicy::Every(every))
}

/// An object of values of one kind, each name once.
pub(super) struct Table<'a, V> {
    what: &'static str,
    value: V,
    base_dir: &'a Path,
}

impl<'a> Table<'a, Variables> {
    pub(super) fn variables(base_dir: &'a Path) -> Self {
        Table {
            what: "variables",
            value: Variables,
            base_dir,
        }
    }
}

impl Table<'static, Environment> {
    pub(super) fn environment() -> Self {
        Table {
            what: "environment",
            value: Environment,
            base_dir: Path::new(""),
        }
    }
}

/// What stands in a [`Table`]: how one of its values is read.
pub(super) trait Cell {
    type Value;

    fn read<'de, M: MapAccess<'de>>(
        &self,
        name: &str,
        map: &mut M,
        base_dir: &Path,
    ) -> Result<Self::Value, M::Error>;
}

pub(super) struct Variables;

impl Cell for Variables {
    type Value = VariableValue;

    fn read<'de, M: MapAccess<'de>>(
        &self,
        name: &str,
        map: &mut M,
        base_dir: &Path,
    ) -> Result<VariableValue, M::Error> {
        map.next_value_seed(Variable { name, base_dir })
    }
}

pub(super) struct Environment;

impl Cell for Environment {
    type Value = String;

    fn read<'de, M: MapAccess<'de>>(&self, name: &str, map: &mut M, _: &Path) -> Result<String, M::Error> {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(M::Error::custom(format!(
                "{name:?} can't be the name of an environment variable"
            )));
        }
        map.next_value_seed(Named::text(name, |text| Ok(text.to_owned())))
    }
}

impl<'de, V: Cell> DeserializeSeed<'de> for Table<'_, V> {
    type Value = BTreeMap<String, V::Value>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de, V: Cell> Visitor<'de> for Table<'_, V> {
    type Value = BTreeMap<String, V::Value>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an object of names and values for {:?}", self.what)
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut table = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            if table.contains_key(&name) {
                let problem = format!("{name:?} stands in {:?} twice; remove one", self.what);
                return Err(M::Error::custom(problem));
            }
            let value = self.value.read(&name, &mut map, self.base_dir)?;
            table.insert(name, value);
        }
        Ok(table)
    }
}

/// One variable's value: a text, or the file that it stands in.
struct Variable<'a> {
    name: &'a str,
    base_dir: &'a Path,
}

impl<'de> DeserializeSeed<'de> for Variable<'_> {
    type Value = VariableValue;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<VariableValue, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Variable<'_> {
    type Value = VariableValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a string or {{\"file\": PATH}} for variable {:?}", self.name)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<VariableValue, E> {
        Ok(VariableValue::Literal(Secret::new(text)))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<VariableValue, M::Error> {
        let mut file = None;
        while let Some(name) = map.next_key::<String>()? {
            if name != "file" || file.is_some() {
                let problem = format!(
                    "variable {:?} is a string or {{\"file\": PATH}}, without {name:?}",
                    self.name
                );
                return Err(M::Error::custom(problem));
            }
            file = Some(map.next_value_seed(Named::text("file", |path| {
                credentials::or_file(path, self.base_dir).map_err(|error| error.to_string())
            }))?);
        }
        let problem = || {
            M::Error::custom(format!(
                "variable {:?} is a string or {{\"file\": PATH}}",
                self.name
            ))
        };
        file.map(VariableValue::File).ok_or_else(problem)
    }
}
