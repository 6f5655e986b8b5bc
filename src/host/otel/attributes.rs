//! What the three signals have in common: attributes, scopes, resources, identifiers, times.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use wasmtime_wasi::p2::bindings::clocks::wall_clock::Datetime;

use super::Otel;
use super::bindings::wasi::otel::types as wit;

/// Begins the JSON string that stands for bytes.
const BYTES: &str = "data:application/octet-stream;base64,";
const NANOSECONDS: u64 = 1_000_000_000;

pub(super) fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.into(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.into())),
        }),
        ..KeyValue::default()
    }
}

/// A value as the guest gives it: JSON. What is no JSON is taken for the text that it is.
pub(super) fn any_value(json: &str) -> AnyValue {
    match serde_json::from_str(json) {
        Ok(value) => from_json(value),
        Err(_) => AnyValue {
            value: Some(Value::StringValue(json.into())),
        },
    }
}

fn from_json(json: serde_json::Value) -> AnyValue {
    use serde_json::Value as Json;
    let value = match json {
        Json::Null => None,
        Json::Bool(value) => Some(Value::BoolValue(value)),
        Json::Number(number) => Some(match number.as_i64() {
            Some(integer) => Value::IntValue(integer),
            // Every number of JSON has an `f64` beside it; none is lost for good.
            None => Value::DoubleValue(number.as_f64().unwrap_or(f64::NAN)),
        }),
        Json::String(text) => Some(match text.strip_prefix(BYTES).map(|bytes| BASE64.decode(bytes)) {
            Some(Ok(bytes)) => Value::BytesValue(bytes),
            None | Some(Err(_)) => Value::StringValue(text),
        }),
        Json::Array(values) => Some(Value::ArrayValue(ArrayValue {
            values: values.into_iter().map(from_json).collect(),
        })),
        Json::Object(members) => Some(Value::KvlistValue(KeyValueList {
            values: members
                .into_iter()
                .map(|(key, value)| KeyValue {
                    key,
                    value: Some(from_json(value)),
                    ..KeyValue::default()
                })
                .collect(),
        })),
    };
    AnyValue { value }
}

pub(super) fn attributes(given: Vec<wit::KeyValue>) -> Vec<KeyValue> {
    let converted = given.into_iter().map(|attribute| KeyValue {
        value: Some(any_value(&attribute.value)),
        key: attribute.key,
        ..KeyValue::default()
    });
    converted.collect()
}

/// The scope, and the address of its schema.
pub(super) fn scope(given: wit::InstrumentationScope) -> (InstrumentationScope, String) {
    let scope = InstrumentationScope {
        name: given.name,
        version: given.version.unwrap_or_default(),
        attributes: attributes(given.attributes),
        ..InstrumentationScope::default()
    };
    (scope, given.schema_url.unwrap_or_default())
}

impl Otel {
    /// What is known of the source of some data, and the address of its schema.
    pub(super) fn resource(&self, given: Option<wit::Resource>) -> (Resource, String) {
        let (given, schema_url) = match given {
            Some(given) => (given.attributes, given.schema_url.unwrap_or_default()),
            None => (Vec::new(), String::new()),
        };
        let mut all = self.identity.clone();
        for attribute in attributes(given).into_iter().chain(self.defaults.iter().cloned()) {
            if !all.iter().any(|known| known.key == attribute.key) {
                all.push(attribute);
            }
        }
        let resource = Resource {
            attributes: all,
            ..Resource::default()
        };
        (resource, schema_url)
    }
}

/// Sixteen bytes, or all zero for what is no identifier.
pub(super) fn trace_id(text: &str) -> [u8; 16] {
    let mut id = [0; 16];
    match hex::decode_to_slice(text, &mut id) {
        Ok(()) => id,
        Err(_) => [0; 16],
    }
}

/// The same in eight bytes.
pub(super) fn span_id(text: &str) -> [u8; 8] {
    let mut id = [0; 8];
    match hex::decode_to_slice(text, &mut id) {
        Ok(()) => id,
        Err(_) => [0; 8],
    }
}

/// Without the identifier that stands for none: the protocol leaves that out.
pub(super) fn unless_zero(id: &[u8]) -> Vec<u8> {
    match id.iter().all(|byte| *byte == 0) {
        true => Vec::new(),
        false => id.into(),
    }
}

/// Nanoseconds since 1970; the last that can be told for what is later.
pub(super) fn nanoseconds(time: Datetime) -> u64 {
    time.seconds
        .saturating_mul(NANOSECONDS)
        .saturating_add(time.nanoseconds.into())
}

#[cfg(test)]
pub(super) mod tests {
    use tokio::sync::Semaphore;

    use super::*;

    pub(in super::super) fn otel() -> Otel {
        Otel {
            exporter: None,
            budget: Semaphore::new(0).into(),
            defaults: vec![text("service.name", "app"), text("zone", "z")],
            identity: vec![text("app_id", "app"), text("component_id", "c")],
        }
    }

    pub(in super::super) fn attribute(key: &str, value: &str) -> wit::KeyValue {
        wit::KeyValue {
            key: key.into(),
            value: value.into(),
        }
    }

    fn value(json: &str) -> Option<Value> {
        any_value(json).value
    }

    #[test]
    fn every_kind_of_json_has_its_value() {
        assert_eq!(value("null"), None);
        assert_eq!(value("true"), Some(Value::BoolValue(true)));
        assert_eq!(value("-9223372036854775808"), Some(Value::IntValue(i64::MIN)));
        assert_eq!(
            value("18446744073709551615"),
            Some(Value::DoubleValue(18446744073709551615.0))
        );
        assert_eq!(value("1.0"), Some(Value::DoubleValue(1.0)));
        assert_eq!(value(r#""a\n""#), Some(Value::StringValue("a\n".into())));
        assert_eq!(value("plain text"), Some(Value::StringValue("plain text".into())));
        let list = value(r#"[1, "a"]"#);
        let elements = vec![any_value("1"), any_value(r#""a""#)];
        assert_eq!(list, Some(Value::ArrayValue(ArrayValue { values: elements })));
        let object = value(r#"{"a": "b"}"#);
        let members = vec![text("a", "b")];
        assert_eq!(object, Some(Value::KvlistValue(KeyValueList { values: members })));
    }

    #[test]
    fn bytes_are_a_string_of_base64() {
        let json = r#""data:application/octet-stream;base64,AAH/""#;
        assert_eq!(value(json), Some(Value::BytesValue(vec![0, 1, 255])));
        let broken = "data:application/octet-stream;base64,?";
        assert_eq!(
            value(&format!("\"{broken}\"")),
            Some(Value::StringValue(broken.into()))
        );
    }

    #[test]
    fn a_guest_says_what_it_is_but_not_whose() {
        let given = wit::Resource {
            attributes: vec![
                attribute("service.name", r#""mine""#),
                attribute("app_id", r#""another""#),
            ],
            schema_url: Some("s".into()),
        };
        let (resource, schema_url) = otel().resource(Some(given));
        let expected = [
            text("app_id", "app"),
            text("component_id", "c"),
            text("service.name", "mine"),
            text("zone", "z"),
        ];
        assert_eq!((resource.attributes, &*schema_url), (expected.into(), "s"));
        assert_eq!(otel().resource(None).0.attributes.len(), 4);
    }

    #[test]
    fn identifiers_are_hexadecimal_or_none() {
        assert_eq!(span_id("00000000000000ff"), [0, 0, 0, 0, 0, 0, 0, 255]);
        assert_eq!(span_id("ff"), [0; 8]);
        assert_eq!(trace_id("nonsense"), [0; 16]);
        assert!(unless_zero(&[0; 8]).is_empty());
    }

    #[test]
    fn a_time_too_late_is_the_last_one() {
        let time = |seconds, nanoseconds| Datetime { seconds, nanoseconds };
        assert_eq!(nanoseconds(time(2, 5)), 2_000_000_005);
        assert_eq!(nanoseconds(time(u64::MAX, 0)), u64::MAX);
    }
}
