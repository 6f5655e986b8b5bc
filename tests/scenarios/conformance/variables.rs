//! docs/contract/host-interfaces.md §5.2 and §6.2.

use serde_json::{Value, json};

use super::apps::{DOWN, NOWHERE};
use super::case::{Call, Section, call, err, ok, section};

const VALUES: &str = "defaults, static values";
const CHARACTERS: &str = "\"Up\": invalid character 'U'. Variable names may contain only lower-case letters, numbers, and underscores.";

pub fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    for app in ["apis1", "apis1-core"] {
        let calls = lookups("get-config", app, ["provider", "invalid-key"]);
        sections.push(section("fermyon:spin/config", VALUES, app, "config", calls));
    }
    for (interface, app) in [
        ("fermyon:spin/variables@2.0.0", "apis5"),
        ("spin:variables/variables@3.0.0", "apis7"),
    ] {
        let calls = lookups("get", app, ["undefined", "invalid-name"]);
        sections.push(section(interface, VALUES, app, interface, calls));
    }
    let config = "wasi:config/store@0.2.0-draft-2024-09-27";
    sections.push(section(config, VALUES, "apis5", config, wasi()));
    let from_vault = vec![
        call("get", json!(["from_provider"]), ok("a secret value")),
        call("get", json!(["greeting"]), ok("hello world")).when("the secret is missing: the default"),
    ];
    let unreachable = |variable: &str| {
        format!(
            "the variable `{variable}` can't be read: Vault at http://{NOWHERE} can't be reached: Connection refused \
             (os error 111)"
        )
    };
    let two = "fermyon:spin/variables@2.0.0";
    sections.push(section(two, "Vault", "vault", two, from_vault));
    sections.push(section(
        "fermyon:spin/variables@2.0.0",
        "Vault",
        DOWN,
        "fermyon:spin/variables@2.0.0",
        vec![
            call(
                "get",
                json!(["greeting"]),
                err(json!({"provider": unreachable("plain")})),
            )
            .when("the server is down"),
        ],
    ));
    sections.push(section(
        config,
        "Vault",
        DOWN,
        config,
        vec![
            call(
                "get",
                json!(["greeting"]),
                err(json!({"upstream": unreachable("plain")})),
            )
            .when("the server is down"),
            call(
                "get-all",
                json!([]),
                err(json!({"upstream": unreachable("from_static")})),
            )
            .when("the server is down"),
        ],
    ));
    sections
}

/// `errors`: of a name that is not there, and of one that is none.
fn lookups(get: &'static str, component: &str, errors: [&str; 2]) -> Vec<Call> {
    let [undefined, invalid] = errors;
    let refused = |case: &str, text: String| -> Value { err(json!({case: text})) };
    vec![
        call(get, json!(["greeting"]), ok("hello world")),
        call(get, json!(["from_provider"]), ok("a static value")),
        call(get, json!(["literal"]), ok("just text")),
        call(
            get,
            json!(["nope"]),
            refused(undefined, format!("no variable for {component:?}.\"nope\"")),
        )
        .when("the component has no such name"),
        call(
            get,
            json!([""]),
            refused(invalid, "\"\": must not be empty".into()),
        )
        .when("the name is empty"),
        call(get, json!(["Up"]), refused(invalid, CHARACTERS.into())).when("the name has a capital"),
        call(
            get,
            json!(["_up"]),
            refused(
                invalid,
                "\"_up\": must start with a lowercase ASCII letter".into(),
            ),
        )
        .when("the name begins with `_`"),
        call(
            get,
            json!(["up_"]),
            refused(
                invalid,
                "\"up_\": must end with a lowercase ASCII letter or digit".into(),
            ),
        )
        .when("the name ends with `_`"),
        call(
            get,
            json!(["u__p"]),
            refused(
                invalid,
                "\"u__p\": must not contain multiple consecutive underscores".into(),
            ),
        )
        .when("the name has `__`"),
    ]
}

fn wasi() -> Vec<Call> {
    let all = json!([
        ["from_provider", "a static value"],
        ["greeting", "hello world"],
        ["literal", "just text"],
    ]);
    vec![
        call("get", json!(["greeting"]), ok("hello world")),
        call("get", json!(["nope"]), ok(())).when("the component has no such name"),
        call("get", json!(["Up"]), ok(())).when("the name is none"),
        call("get-all", json!([]), ok(all)),
    ]
}
