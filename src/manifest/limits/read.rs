//! The members of `limits`, each checked while it is being read.

use std::fmt;
use std::time::Duration;

use bytesize::ByteSize;
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::super::raw::{meant, put};
use super::super::values::duration;
use super::{Limit, Limits, Rate};
use crate::net::Network;
use crate::trigger::http::MAX_HEADERS;

pub(in crate::manifest) const MEMBERS: [&str; 14] = [
    "memory",
    "request_time",
    "cpu_time",
    "requests",
    "queue",
    "queue_time",
    "rate",
    "burst",
    "body",
    "headers",
    "outbound_connections",
    "outbound_networks",
    "log_rate",
    "state_size",
];

/// One page of a linear memory: less is none.
const MIN_MEMORY: u64 = 64 << 10;
/// A SQLite file with a table in it, and its journal.
const MIN_STATE: u64 = 64 << 10;
/// What a browser sends.
const MIN_HEADERS: u64 = 1 << 10;
/// The clock's own precision is ten times that.
const MIN_TIME: Duration = Duration::from_millis(1);
/// Numbers that JSON writes exactly.
const MAX_EXACT: f64 = (1_u64 << 53) as f64;

pub(super) fn parse(json: &str) -> Result<Limits, serde_json::Error> {
    let mut input = serde_json::Deserializer::from_str(json);
    let limits = Object.deserialize(&mut input)?;
    input.end()?;
    Ok(limits)
}

/// The whole object.
pub(in crate::manifest) struct Object;

impl<'de> DeserializeSeed<'de> for Object {
    type Value = Limits;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Limits, D::Error> {
        input.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Object {
    type Value = Limits;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object such as {\"memory\": \"128MiB\", \"requests\": 50} for \"limits\"")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Limits, M::Error> {
        let mut read = Read::default();
        while let Some(name) = map.next_key_seed(MemberName)? {
            read.member(name, &mut map)?;
        }
        Ok(Limits {
            memory: read.memory.unwrap_or_default(),
            request_time: read.request_time.unwrap_or_default(),
            cpu_time: read.cpu_time.unwrap_or_default(),
            requests: read.requests.unwrap_or_default(),
            queue: read.queue.unwrap_or_default(),
            queue_time: read.queue_time.unwrap_or_default(),
            rate: read.rate.unwrap_or_default(),
            burst: read.burst.unwrap_or_default(),
            body: read.body.unwrap_or_default(),
            headers: read.headers.unwrap_or_default(),
            outbound_connections: read.outbound_connections.unwrap_or_default(),
            outbound_networks: read.outbound_networks.unwrap_or_default(),
            log_rate: read.log_rate.unwrap_or_default(),
            state_size: read.state_size.unwrap_or_default(),
        })
    }
}

#[derive(Default)]
struct Read {
    memory: Option<Limit<usize>>,
    request_time: Option<Limit<Duration>>,
    cpu_time: Option<Limit<Duration>>,
    requests: Option<Limit<usize>>,
    queue: Option<Limit<usize>>,
    queue_time: Option<Limit<Duration>>,
    rate: Option<Limit<Rate>>,
    burst: Option<Limit<u32>>,
    body: Option<Limit<u64>>,
    headers: Option<Limit<usize>>,
    outbound_connections: Option<Limit<usize>>,
    outbound_networks: Option<Limit<Vec<Network>>>,
    log_rate: Option<Limit<u32>>,
    state_size: Option<Limit<u64>>,
}

impl Read {
    fn member<'de, M: MapAccess<'de>>(&mut self, name: &'static str, map: &mut M) -> Result<(), M::Error> {
        const ANY: u64 = 0;
        match name {
            "memory" => put(&mut self.memory, name, map, Amount::size(name, MIN_MEMORY)),
            "request_time" => put(&mut self.request_time, name, map, Amount::time(name)),
            "cpu_time" => put(&mut self.cpu_time, name, map, Amount::time(name)),
            "requests" => put(&mut self.requests, name, map, Amount::number(name, 1)),
            "queue" => put(&mut self.queue, name, map, Amount::number(name, ANY)),
            "queue_time" => put(&mut self.queue_time, name, map, Amount::time(name)),
            "rate" => put(&mut self.rate, name, map, Amount::rate(name)),
            "burst" => put(&mut self.burst, name, map, Amount::number(name, 1)),
            "body" => put(&mut self.body, name, map, Amount::size(name, ANY)),
            "headers" => put(&mut self.headers, name, map, Amount::headers(name)),
            "outbound_connections" => put(
                &mut self.outbound_connections,
                name,
                map,
                Amount::number(name, ANY),
            ),
            "outbound_networks" => put(&mut self.outbound_networks, name, map, Networks),
            "log_rate" => put(&mut self.log_rate, name, map, Amount::size(name, 1)),
            // The last of `MEMBERS`.
            _ => put(&mut self.state_size, name, map, Amount::size(name, MIN_STATE)),
        }
    }
}

/// What a member's value says, or why it can't.
type Reading<T> = Result<T, String>;
type FromNumber<T> = Box<dyn Fn(f64) -> Reading<T>>;
type FromText<T> = Box<dyn Fn(&str) -> Reading<T>>;

/// A value that is a number, or a text with a unit.
struct Amount<T> {
    name: &'static str,
    /// For a value of another kind.
    expects: &'static str,
    number: FromNumber<T>,
    text: FromText<T>,
}

const SIZE: &str = "a size such as \"128MiB\", or a number of bytes";
const TIME: &str = "a duration such as \"30s\" or \"500ms\", or a number of seconds";
const NUMBER: &str = "a whole number";
const RATE: &str = "a number of requests a second, or a text such as \"30/m\"";

impl<T: TryFrom<u64> + 'static> Amount<T> {
    fn size(name: &'static str, least: u64) -> Self {
        Self::within(name, SIZE, least, u64::MAX)
    }

    fn headers(name: &'static str) -> Self {
        Self::within(name, SIZE, MIN_HEADERS, MAX_HEADERS as u64)
    }

    fn within(name: &'static str, expects: &'static str, least: u64, most: u64) -> Self {
        let typed = move |size: u64| {
            if size < least {
                let least = ByteSize::b(least).display().iec();
                return Err(format!("{name:?} must be at least {least}"));
            }
            let size = Some(size).filter(|size| *size <= most);
            size.and_then(|size| T::try_from(size).ok()).ok_or_else(|| {
                let most = ByteSize::b(most.min(u64::from(u32::MAX))).display().iec();
                format!("{name:?} can't be more than {most}")
            })
        };
        Self {
            name,
            expects,
            number: Box::new(move |number| typed(whole(name, number, expects)?)),
            text: Box::new(move |text| match text.parse::<ByteSize>() {
                Ok(size) => typed(size.as_u64()),
                Err(_) => Err(format!("{name:?} is {text:?}, not {expects}")),
            }),
        }
    }

    fn number(name: &'static str, least: u64) -> Self {
        let number = move |number| {
            let number = whole(name, number, NUMBER)?;
            match T::try_from(number) {
                Ok(typed) if number >= least => Ok(typed),
                Ok(_) => Err(format!("{name:?} must be at least {least}")),
                Err(_) => Err(format!("{name:?} can't be {number}: it is too large")),
            }
        };
        Self {
            name,
            expects: NUMBER,
            number: Box::new(number),
            text: Box::new(move |text| Err(format!("{name:?} is {text:?}, not {NUMBER}"))),
        }
    }
}

impl Amount<Duration> {
    fn time(name: &'static str) -> Self {
        let long_enough = move |time: Duration| match time >= MIN_TIME {
            true => Ok(time),
            false => Err(format!("{name:?} must be at least {MIN_TIME:?}")),
        };
        Self {
            name,
            expects: TIME,
            number: Box::new(move |seconds| {
                let time = Duration::try_from_secs_f64(seconds);
                long_enough(time.map_err(|_| format!("{name:?} can't be {seconds} seconds"))?)
            }),
            text: Box::new(move |text| long_enough(duration(name, text)?)),
        }
    }
}

impl Amount<Rate> {
    fn rate(name: &'static str) -> Self {
        let every = move |number: f64, unit: Duration| {
            let refused = || format!("{name:?} can't be {number}: it is {RATE}, above 0");
            if number <= 0.0 {
                return Err(refused());
            }
            let every = Duration::try_from_secs_f64(unit.as_secs_f64() / number).map_err(|_| refused())?;
            Some(Rate(every))
                .filter(|rate| !rate.0.is_zero())
                .ok_or_else(refused)
        };
        let text = move |text: &str| {
            let refused = || format!("{name:?} is {text:?}, not {RATE}");
            let (number, unit) = text.split_once('/').ok_or_else(refused)?;
            let seconds = match unit.trim() {
                "s" => 1,
                "m" => 60,
                "h" => 3600,
                _ => return Err(refused()),
            };
            let number = number.trim().parse().map_err(|_| refused())?;
            every(number, Duration::from_secs(seconds))
        };
        Self {
            name,
            expects: RATE,
            number: Box::new(move |number| every(number, Duration::from_secs(1))),
            text: Box::new(text),
        }
    }
}

fn whole(name: &str, number: f64, expects: &str) -> Reading<u64> {
    if number.fract() == 0.0 && (0.0..=MAX_EXACT).contains(&number) {
        Ok(number as u64)
    } else {
        Err(format!("{name:?} can't be {number}: it is {expects}"))
    }
}

impl<'de, T> DeserializeSeed<'de> for Amount<T> {
    type Value = Limit<T>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Limit<T>, D::Error> {
        input.deserialize_any(self)
    }
}

impl<T> Visitor<'_> for Amount<T> {
    type Value = Limit<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, or null for no limit, for {:?}", self.expects, self.name)
    }

    fn visit_unit<E: Error>(self) -> Result<Limit<T>, E> {
        Ok(Limit::Lifted)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Limit<T>, E> {
        self.visit_f64(number as f64)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Limit<T>, E> {
        self.visit_f64(number as f64)
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Limit<T>, E> {
        (self.number)(number).map(Limit::At).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Limit<T>, E> {
        (self.text)(text).map(Limit::At).map_err(E::custom)
    }
}

/// A list of networks.
struct Networks;

impl<'de> DeserializeSeed<'de> for Networks {
    type Value = Limit<Vec<Network>>;

    fn deserialize<D: Deserializer<'de>>(self, input: D) -> Result<Self::Value, D::Error> {
        input.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Networks {
    type Value = Limit<Vec<Network>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a list of networks such as [\"10.0.0.0/8\"], or null for no limit, for \"outbound_networks\"",
        )
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Limit::Lifted)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut list: S) -> Result<Self::Value, S::Error> {
        let mut networks = Vec::new();
        while let Some(network) = list.next_element()? {
            networks.push(network);
        }
        Ok(Limit::At(networks))
    }
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
        f.write_str("the name of a limit")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<&'static str, E> {
        if let Some(known) = MEMBERS.iter().find(|known| **known == name) {
            return Ok(known);
        }
        Err(E::custom(match meant(name, &MEMBERS) {
            Some(meant) => format!("unknown limit {name:?}; did you mean {meant:?}?"),
            None => format!("unknown limit {name:?}; there are {}", MEMBERS.join(", ")),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::super::QUEUE;
    use super::*;

    fn problem(json: &str) -> String {
        parse(json).unwrap_err().to_string()
    }

    #[test]
    fn units_are_read() {
        let limits = parse(
            r#"{"memory": "128MiB", "request_time": "30s", "cpu_time": 0.5, "requests": 50, "queue": 0, "rate": "30/m",
                "burst": 5, "body": 1024, "headers": "16KiB", "outbound_networks": ["10.0.0.0/8"], "log_rate": null}"#,
        )
        .unwrap();
        let expected = Limits {
            memory: Limit::At(128 << 20),
            request_time: Limit::At(Duration::from_secs(30)),
            cpu_time: Limit::At(Duration::from_millis(500)),
            requests: Limit::At(50),
            queue: Limit::At(0),
            rate: Limit::At(Rate(Duration::from_secs(2))),
            burst: Limit::At(5),
            body: Limit::At(1024),
            headers: Limit::At(16 << 10),
            outbound_networks: Limit::At(vec!["10.0.0.0/8".parse().unwrap()]),
            log_rate: Limit::Lifted,
            ..Limits::default()
        };
        assert_eq!(limits, expected);
    }

    #[test]
    fn an_app_s_limits_go_before_the_daemon_s() {
        let daemon = parse(r#"{"requests": 100, "request_time": "30s"}"#).unwrap();
        let app = parse(r#"{"memory": "1MiB", "request_time": null}"#).unwrap();
        let both = app.over(&daemon.over(&Limits::built_in()));
        assert_eq!(both.requests.value(), Some(100));
        assert_eq!(both.memory.value(), Some(1 << 20));
        assert_eq!(both.request_time.value(), None);
        assert_eq!(both.queue.value(), Some(QUEUE));
    }

    #[test]
    fn what_is_wrong_is_told_with_what_to_write() {
        for (json, expected) in [
            (r#"{"memry": 1}"#, "did you mean \"memory\"?"),
            (r#"{"speed": 1}"#, "there are memory, request_time,"),
            (r#"{"memory": "lots"}"#, "not a size such as \"128MiB\""),
            (r#"{"memory": 1}"#, "must be at least 64"),
            (r#"{"request_time": "soon"}"#, "not a duration such as"),
            (r#"{"request_time": 0}"#, "at least 1ms"),
            (r#"{"requests": 0}"#, "\"requests\" must be at least 1"),
            (r#"{"requests": 1.5}"#, "it is a whole number"),
            (r#"{"requests": "many"}"#, "not a whole number"),
            (r#"{"requests": []}"#, "or null for no limit, for \"requests\""),
            (r#"{"rate": "5 per day"}"#, "such as \"30/m\""),
            (r#"{"rate": 0}"#, "above 0"),
            (r#"{"headers": "1GiB"}"#, "can't be more than 256"),
            (
                r#"{"outbound_networks": ["intranet"]}"#,
                "`intranet` is no network",
            ),
            (r#"{"outbound_networks": "10.0.0.0/8"}"#, "a list of networks"),
            (r#"{"body": 1, "body": 2}"#, "stands here twice"),
        ] {
            let problem = problem(json);
            assert!(problem.contains(expected), "{json}: {problem}");
        }
    }
}
