//! The standard environment variables (`docs/contract/runtime-config.md §8`): to where, how, and with what said of it.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use url::Url;

use crate::net::percent;

/// How long one try to hand over a batch may take, unless `OTEL_EXPORTER_OTLP_TIMEOUT` says otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Where each signal goes; `None` for one that nobody wants.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) traces: Option<Destination>,
    pub(crate) metrics: Option<Destination>,
    pub(crate) logs: Option<Destination>,
    /// Attributes of everything that is sent.
    pub(crate) resource: Vec<(String, String)>,
}

/// A collector, for one signal.
#[derive(Debug, Clone)]
pub(crate) struct Destination {
    pub(crate) protocol: Protocol,
    /// For HTTP the whole address; for gRPC scheme, host and port.
    pub(crate) url: Url,
    /// Their values are marked as sensitive.
    pub(crate) headers: HeaderMap,
    pub(crate) timeout: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Protocol {
    HttpProtobuf,
    Grpc,
}

/// A variable with a value that can't be used.
#[derive(Debug, thiserror::Error)]
#[error("the environment variable {variable}: {reason}")]
pub(crate) struct SettingError {
    variable: String,
    reason: String,
}

impl SettingError {
    fn new(variable: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            variable: variable.into(),
            reason: reason.into(),
        }
    }
}

impl Settings {
    /// `variable` reads the environment. An empty value means the same as none.
    pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, SettingError> {
        let variable = |name: &str| variable(name).filter(|value| !value.trim().is_empty());
        if variable("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true")) {
            return Ok(Self::default());
        }
        let mut resource = Vec::new();
        if let Some(name) = variable("OTEL_SERVICE_NAME") {
            resource.push(("service.name".to_owned(), name));
        }
        if let Some(list) = variable("OTEL_RESOURCE_ATTRIBUTES") {
            for (name, value) in pairs("OTEL_RESOURCE_ATTRIBUTES", &list)? {
                if !resource.iter().any(|(known, _)| *known == name) {
                    resource.push((name, value));
                }
            }
        }
        Ok(Self {
            traces: destination(&variable, "TRACES")?,
            metrics: destination(&variable, "METRICS")?,
            logs: destination(&variable, "LOGS")?,
            resource,
        })
    }
}

fn destination(
    variable: &impl Fn(&str) -> Option<String>,
    signal: &str,
) -> Result<Option<Destination>, SettingError> {
    if variable(&format!("OTEL_{signal}_EXPORTER")).is_some_and(|exporter| exporter.trim() == "none") {
        return Ok(None);
    }
    // The signal's own variable goes before the general one.
    let find = |what: &str| {
        let names = [
            format!("OTEL_EXPORTER_OTLP_{signal}_{what}"),
            format!("OTEL_EXPORTER_OTLP_{what}"),
        ];
        names
            .into_iter()
            .find_map(|name| variable(&name).map(|value| (name, value)))
    };
    let Some((name, address)) = find("ENDPOINT") else {
        return Ok(None);
    };
    let protocol = match find("PROTOCOL") {
        None => Protocol::HttpProtobuf,
        Some((name, value)) => match &*value {
            "http/protobuf" => Protocol::HttpProtobuf,
            "grpc" => Protocol::Grpc,
            _ => {
                let reason = format!("`{value}` is not supported: use `http/protobuf` or `grpc`");
                return Err(SettingError::new(name, reason));
            }
        },
    };
    let mut url = match address.contains("://") {
        true => Url::parse(&address),
        false => Url::parse(&format!("http://{address}")),
    }
    .map_err(|error| SettingError::new(&name, format!("it is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(SettingError::new(name, "it is no http or https address"));
    }
    // The general address is that of the collector, below which each signal has its own.
    if protocol == Protocol::HttpProtobuf && name == "OTEL_EXPORTER_OTLP_ENDPOINT" {
        let path = format!(
            "{}/v1/{}",
            url.path().trim_end_matches('/'),
            signal.to_ascii_lowercase()
        );
        url.set_path(&path);
    }
    let headers = match find("HEADERS") {
        Some((name, list)) => headers(&name, &list)?,
        None => HeaderMap::new(),
    };
    let timeout = match find("TIMEOUT") {
        None => DEFAULT_TIMEOUT,
        Some((name, value)) => match value.parse() {
            Ok(milliseconds) => Duration::from_millis(milliseconds),
            Err(_) => return Err(SettingError::new(name, "it is no number of milliseconds")),
        },
    };
    Ok(Some(Destination {
        protocol,
        url,
        headers,
        timeout,
    }))
}

fn headers(variable: &str, list: &str) -> Result<HeaderMap, SettingError> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs(variable, list)? {
        // Neither may be shown: values are keys to the collector.
        let wrong = || SettingError::new(variable, "it is no list of headers NAME=VALUE");
        let header = HeaderName::try_from(name).map_err(|_| wrong())?;
        let mut value = HeaderValue::try_from(value).map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.append(header, value);
    }
    Ok(headers)
}

/// `a=b,c=d`, values percent-encoded.
fn pairs(variable: &str, list: &str) -> Result<Vec<(String, String)>, SettingError> {
    let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
    let pair = |entry: &str| {
        let (name, value) = entry.split_once('=')?;
        let value = String::from_utf8(percent::decoded(value.trim())).ok()?;
        Some((name.trim().to_owned(), value))
    };
    entries
        .map(|entry| {
            pair(entry).ok_or_else(|| {
                SettingError::new(variable, "it is no list of NAME=VALUE, separated by commas")
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, SettingError> {
        Settings::read(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| value.to_string())
        })
    }

    fn url(destination: &Option<Destination>) -> &str {
        destination.as_ref().unwrap().url.as_str()
    }

    #[test]
    fn without_an_address_nothing_is_sent() {
        let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")]).unwrap();
        assert!(settings.traces.is_none() && settings.metrics.is_none() && settings.logs.is_none());
    }

    #[test]
    fn one_address_is_for_all_signals() {
        let settings = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c:4318/base/")]).unwrap();
        assert_eq!(url(&settings.traces), "http://c:4318/base/v1/traces");
        assert_eq!(url(&settings.metrics), "http://c:4318/base/v1/metrics");
        assert_eq!(url(&settings.logs), "http://c:4318/base/v1/logs");
    }

    #[test]
    fn a_signals_own_address_is_used_as_it_is() {
        let settings = read(&[("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://c/x")]).unwrap();
        assert_eq!(url(&settings.logs), "https://c/x");
        assert!(settings.traces.is_none());
    }

    #[test]
    fn grpc_goes_to_the_address_alone() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "c:4317"),
            ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ])
        .unwrap();
        let metrics = settings.metrics.as_ref().unwrap();
        assert_eq!(
            (metrics.protocol, metrics.url.as_str()),
            (Protocol::Grpc, "http://c:4317/")
        );
        assert_eq!(settings.traces.unwrap().protocol, Protocol::HttpProtobuf);
    }

    #[test]
    fn everything_can_be_switched_off() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_SDK_DISABLED", "TRUE"),
        ]);
        assert!(settings.unwrap().traces.is_none());
    }

    #[test]
    fn one_signal_can_be_switched_off() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_METRICS_EXPORTER", "none"),
            ("OTEL_LOGS_EXPORTER", "otlp"),
        ])
        .unwrap();
        assert!(settings.metrics.is_none() && settings.logs.is_some());
    }

    #[test]
    fn the_name_of_the_service_has_a_variable_of_its_own() {
        let settings = read(&[
            ("OTEL_RESOURCE_ATTRIBUTES", "service.name=a, zone=eu%2Cwest"),
            ("OTEL_SERVICE_NAME", "b"),
        ]);
        let pair = |name: &str, value: &str| (name.to_string(), value.to_string());
        assert_eq!(
            settings.unwrap().resource,
            [pair("service.name", "b"), pair("zone", "eu,west")]
        );
    }

    #[test]
    fn headers_are_sent_and_never_shown() {
        let settings = read(&[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=hush%21,other=x"),
        ]);
        let traces = settings.unwrap().traces.unwrap();
        assert_eq!(traces.headers["api-key"], "hush!");
        assert!(!format!("{traces:?}").contains("hush"));
    }

    #[test]
    fn a_mistake_is_named_with_its_variable() {
        let cases = [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "ftp://c"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "secret"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
            ("OTEL_RESOURCE_ATTRIBUTES", "a"),
        ];
        for (name, value) in cases {
            let error = read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://c"), (name, value)]).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(name) && !text.contains("secret"), "{text}");
        }
    }
}
