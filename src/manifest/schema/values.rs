//! The values that app files are made of.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

/// A value of one form, which stands where it is used.
macro_rules! value {
    ($(#[$doc:meta])* $name:ident, $generator:ident => $schema:expr) => {
        $(#[$doc])*
        #[derive(Default)]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    };
}
pub(super) use value;

value!(Text, _g => json_schema!({"type": "string"}));
value!(
    /// A text that is not empty.
    Filled, _g => json_schema!({"type": "string", "minLength": 1})
);
value!(Switch, _g => json_schema!({"type": "boolean"}));
value!(Reference, _g => json_schema!({
    "type": "string",
    "pattern": r"^(oci(-archive)?:.+|\S+)$",
    "examples": ["ghcr.io/me/app:v1", "oci:hello:v1"],
}));
value!(Address, _g => json_schema!({
    "type": "string",
    "pattern": "^(unix:.+|[^/]+:[0-9]{1,5})$",
    "examples": ["127.0.0.1:4001", "[::1]:0", "unix:/run/app.sock"],
}));
value!(
    /// One host, or several.
    Hosts, _g => {
        let host = json_schema!({"type": "string", "pattern": r"^[^/\s]+$"});
        json_schema!({
            "anyOf": [host, {"type": "array", "items": host, "minItems": 1, "uniqueItems": true}],
            "examples": ["shop.example", ["shop.example", "*.shop.example"]],
        })
    }
);
value!(Delay, _g => json_schema!({
    "type": ["string", "number"],
    "pattern": "^ *[0-9]",
    "minimum": 0,
    "examples": ["30s", "5m"],
}));
value!(PullPolicy, _g => json_schema!({
    "anyOf": [
        {"enum": ["always", "if-not-present"]},
        {"type": "string", "pattern": "^[0-9]"},
        {"type": "integer", "minimum": 1},
    ],
    "examples": ["always", "5m"],
}));
value!(
    /// A path, or a path and for how long it is asked.
    Health, generator => json_schema!({
        "anyOf": [{"type": "string", "pattern": "^/"}, generator.subschema_for::<HealthCheck>()],
        "examples": ["/healthz", {"path": "/healthz", "timeout": "5s"}],
    })
);
value!(
    /// A text, or the file that it stands in.
    Variable, generator => json_schema!({
        "anyOf": [{"type": "string"}, generator.subschema_for::<VariableFile>()],
    })
);
value!(
    /// A TOML file, or its content.
    RuntimeConfig, generator => json_schema!({
        "anyOf": [
            {"type": "string"},
            generator.subschema_for::<crate::runtime_config::RuntimeConfig>(),
        ],
        "examples": [
            "runtime.toml",
            {"key_value_store": {"cache": {"type": "redis", "url": "redis://127.0.0.1:6379"}}},
        ],
    })
);

/// What a new version has to answer.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct HealthCheck {
    /// As the app's routes see it.
    #[schemars(regex(pattern = "^/"))]
    path: Text,
    /// For how long it is asked again and again; left out, 10 seconds.
    #[schemars(default)]
    timeout: Delay,
}

/// A value that stands in a file.
#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
struct VariableFile {
    /// Read each time it is needed, without a line end at its end.
    file: Text,
}
