//! The member `tls`.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::json;

use super::values::{Address, Filled, value};

/// How clients are met: with certificates from files, or with ordered ones.
#[derive(Default, JsonSchema)]
#[schemars(
    default,
    deny_unknown_fields,
    extend(
        "anyOf" = json!([{"required": ["cert"]}, {"required": ["acme"]}]),
        "dependentRequired" = json!({"cert": ["key"], "key": ["cert"]})
    )
)]
pub(super) struct Tls {
    /// The certificate chain, a PEM file; used anew when it changes.
    cert: Filled,
    /// The key of the certificate, a PEM file.
    key: Filled,
    /// `true`, or how: a certificate for each `host` is ordered and renewed (RFC 8555).
    acme: Acme,
    /// Clients need a certificate of one of these authorities, a PEM file.
    client_ca: Filled,
    /// An address whose plain http requests are sent on to https, such as "0.0.0.0:80".
    redirect_from: Address,
}

value!(
    /// Whether certificates are ordered, or how.
    Acme, generator => json_schema!({
        "anyOf": [{"type": "boolean"}, generator.subschema_for::<AcmeOrder>()],
    })
);

/// How certificates are ordered.
#[derive(Default, JsonSchema)]
#[schemars(default, deny_unknown_fields)]
struct AcmeOrder {
    /// The URL of the authority's directory; left out, the daemon's.
    directory: Directory,
    /// A mail address that the authority may write to, or several; left out, the daemon's.
    contact: Contacts,
    /// How the authority is shown that a name is ours.
    challenge: Challenge,
}

value!(Directory, _g => json_schema!({"type": "string", "pattern": "^https://"}));
value!(Contacts, _g => {
    let contact = json_schema!({"type": "string", "pattern": ".@."});
    json_schema!({"anyOf": [contact, {"type": "array", "items": contact}]})
});
value!(Challenge, _g => json_schema!({"enum": ["tls-alpn-01", "http-01"]}));
