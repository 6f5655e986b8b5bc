//! The JSON Schema (2020-12) of an app file and of a list, for editors and for programs that write such files.
//!
//! The parser is written by hand, so that it can say what was probably meant, and where; here are the same members as shapes,
//! with what an editor shows of them. A test holds that both know the same members; a scenario, that both agree about the files
//! in `test-configs/`. A schema can't see everything that the parser can: what it accepts may still be refused.

#![expect(
    dead_code,
    reason = "nothing is ever read into these shapes: their schema is all that is used"
)]

mod limits;
mod tls;
mod values;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use limits::Limits;
use tls::Tls;
use values::{
    Address, Delay, Filled, Health, Hosts, PullPolicy, Reference, RuntimeConfig, Switch, Text, Variable,
};

/// The schema of an app file, as JSON.
pub fn app_schema() -> Value {
    schema_of::<App>()
}

/// The schema of a list of apps such as `lepton.json`, as JSON.
pub fn list_schema() -> Value {
    schema_of::<List>()
}

fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

/// One Spin app: where it comes from, where it is served, and what it is given.
#[derive(JsonSchema)]
#[schemars(
    title = "An app file of tauon",
    deny_unknown_fields,
    extend("dependentRequired" = json!({"host": ["address"], "tls": ["address"]}))
)]
pub(super) struct App {
    /// For editors; tauon ignores it.
    #[schemars(rename = "$schema", default)]
    schema: Text,
    /// What to run: a registry reference with a tag, a digest or both; `oci:DIR[:TAG]`, an OCI image layout; or
    /// `oci-archive:FILE[:TAG]`, the same in a tar. Relative paths are relative to the file's directory.
    reference: Reference,
    /// Where to serve it: `IPv4:PORT`, `[IPv6]:PORT`, `NAME:PORT` or `unix:PATH`. Port 0 is any free one. Required for an app with
    /// HTTP triggers.
    #[schemars(default)]
    address: Address,
    /// The names that the app answers for at its address, one or a list; `*.shop.example` is every name below `shop.example`.
    /// Left out, it answers for all that are nobody else's.
    #[schemars(default)]
    host: Hosts,
    /// The prefix of the paths that the app answers for, in whole segments; left out, every path.
    #[schemars(default, regex(pattern = "^/"), example = &"/shop")]
    path: Text,
    /// `true`: the app does not see the prefix of its paths, as behind a proxy.
    #[schemars(default)]
    strip_path: Switch,
    /// A path that a new version has to answer with 2xx before it takes its place, or an object with `path` and `timeout`.
    #[schemars(default)]
    health: Health,
    /// The app's own directory, created if it is missing; a relative one is relative to `--state-root`. Left out, it is the file's name
    /// without `.json`.
    #[schemars(default, example = &"app")]
    state_dir: Filled,
    /// Values for the app's variables: a text, or the file that it stands in.
    #[schemars(default, example = json!({"greeting": "hi", "token": {"file": "/run/secrets/token"}}))]
    variables: BTreeMap<String, Variable>,
    /// Environment variables added to every component.
    #[schemars(default, extend("propertyNames" = json!({"pattern": "^[^=]+$"})), example = json!({"MODE": "test"}))]
    environment: BTreeMap<String, Text>,
    /// `false` stops the app and frees its address; the file stays.
    #[schemars(default)]
    enabled: Switch,
    /// How long requests in flight may go on when the app is replaced or stopped, if not `--drain-timeout`.
    #[schemars(default)]
    drain_timeout: Delay,
    /// When a tag is asked for again: "always" (at every start and edit), "if-not-present", or an interval.
    #[schemars(default)]
    pull: PullPolicy,
    /// What stands behind the app's stores, databases and variables: the path of a TOML file as Spin's
    /// `--runtime-config-file` takes it, or the same content as an object.
    #[schemars(default)]
    runtime_config: RuntimeConfig,
    /// Of the app's cron schedules; left out, they are in UTC.
    #[schemars(default, example = &"Europe/Berlin", example = &"UTC")]
    timezone: Text,
    /// What the app may use; over the daemon's `--limits`, member by member. `null` lifts the daemon's.
    #[schemars(default, example = json!({"memory": "128MiB", "request_time": "30s", "requests": 50}))]
    limits: Limits,
    /// How clients are met by TLS; left out, by plain http or as `--tls` says for the address.
    #[schemars(default, example = json!({"cert": "own.pem", "key": "own.key"}))]
    tls: Tls,
}

/// A fixed list of apps.
#[derive(JsonSchema)]
#[schemars(title = "A list of apps for lepton", deny_unknown_fields)]
struct List {
    /// For editors; lepton ignores it.
    #[schemars(rename = "$schema", default)]
    schema: Text,
    /// The apps; each is called after its `state_dir`.
    apps: Vec<App>,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::manifest::{limits, raw, tls};

    fn members(schema: &Value) -> BTreeSet<&str> {
        schema["properties"]
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect()
    }

    #[test]
    fn the_parser_and_the_schema_know_the_same_members() {
        let app = app_schema();
        assert_eq!(members(&app), raw::MEMBERS.iter().copied().collect());
        assert_eq!(members(&app["$defs"]["Limits"]), limits::MEMBERS.into());
        assert_eq!(members(&app["$defs"]["Tls"]), tls::MEMBERS.into());
        assert_eq!(members(&app["$defs"]["AcmeOrder"]), tls::ACME_MEMBERS.into());
    }

    #[test]
    fn every_member_says_what_it_means() {
        fn look(path: &str, schema: &Value) {
            for (name, member) in schema["properties"].as_object().into_iter().flatten() {
                let path = format!("{path}.{name}");
                assert!(member["description"].is_string(), "{path}: {member}");
            }
            for (name, shape) in schema["$defs"].as_object().into_iter().flatten() {
                look(name, shape);
            }
        }
        look("app", &app_schema());
        look("list", &list_schema());
    }

    #[test]
    fn nothing_but_a_limit_may_be_null() {
        let may_be_null = |member: &Value| {
            let types = member["type"].as_array();
            types.is_some_and(|types| types.contains(&json!("null")))
        };
        let app = app_schema();
        let members = app["properties"].as_object().unwrap();
        assert!(!members.values().any(may_be_null), "{members:?}");
        let limits = app["$defs"]["Limits"]["properties"].as_object().unwrap();
        assert!(limits.values().all(may_be_null), "{limits:?}");
    }
}
