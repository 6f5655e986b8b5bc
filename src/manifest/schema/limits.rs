//! The member `limits`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::values::value;

value!(Size, _g => json_schema!({
    "type": ["string", "integer", "null"],
    "pattern": "^ *[0-9]",
    "minimum": 0,
    "examples": ["128MiB"],
}));
value!(Time, _g => json_schema!({
    "type": ["string", "number", "null"],
    "pattern": "^ *[0-9]",
    "exclusiveMinimum": 0,
    "examples": ["30s", "500ms"],
}));
value!(AtLeastOne, _g => json_schema!({"type": ["integer", "null"], "minimum": 1}));
value!(Number, _g => json_schema!({"type": ["integer", "null"], "minimum": 0}));
value!(Rate, _g => json_schema!({
    "type": ["string", "number", "null"],
    "pattern": "^ *[0-9.]+ */ *[smh] *$",
    "exclusiveMinimum": 0,
    "examples": [5, "30/m", "100/h"],
}));
value!(Networks, _g => json_schema!({
    "type": ["array", "null"],
    "items": {"type": "string", "minLength": 1},
    "examples": [["10.0.0.0/8", "fd00::/8"], ["private"]],
}));

/// What the app may use.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// All linear memories of one instance together.
    memory: Size,
    /// One request, from the moment that it has its place to the last byte of its response.
    request_time: Time,
    /// The processor's time that one request, event or run of a command takes.
    cpu_time: Time,
    /// Requests at once; built in: 512.
    requests: AtLeastOne,
    /// Requests that wait for a place, first come, first served; built in: 1024.
    queue: Number,
    /// How long they wait; built in: 10 seconds.
    queue_time: Time,
    /// Requests a second, or a text with another unit.
    rate: Rate,
    /// Requests at once after a pause; left out, a second's worth of `rate`.
    burst: AtLeastOne,
    /// A request's body.
    body: Size,
    /// A request's target and headers, 256 KiB at most; built in: 64 KiB.
    headers: Size,
    /// Connections to elsewhere, of all kinds together.
    outbound_connections: Number,
    /// Where they may go, besides being allowed by the app: networks, addresses, or "private".
    outbound_networks: Networks,
    /// Bytes a second that the app's guests print.
    log_rate: Size,
    /// All files in the app's state directory.
    state_size: Size,
}
