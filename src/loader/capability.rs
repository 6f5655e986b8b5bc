//! What a dependency may be refused, and what it is told then, as data: `docs/contract/locked-app.md` §7.
//!
//! Interfaces are named without versions. Spin's stub matches the versions it was built with; here every version of an
//! interface is refused alike, so that a dependency can't choose an older one to get around it.

/// The keys of `inherit_configuration`, and the interfaces that pass through with each.
pub(super) const CAPABILITIES: [(&str, &[&str]); 7] = [
    ("ai_models", &["fermyon:spin/llm"]),
    (
        "allowed_outbound_hosts",
        &[
            "fermyon:spin/http",
            "fermyon:spin/mqtt",
            "fermyon:spin/mysql",
            "fermyon:spin/postgres",
            "fermyon:spin/redis",
            "spin:mqtt/mqtt",
            "spin:mysql/mysql",
            "spin:postgres/postgres",
            "spin:redis/redis",
            "wasi:http/client",
            "wasi:http/outgoing-handler",
            "wasi:sockets/ip-name-lookup",
            "wasi:sockets/tcp",
            "wasi:sockets/tcp-create-socket",
            "wasi:sockets/udp",
            "wasi:sockets/udp-create-socket",
        ],
    ),
    ("environment", &["wasi:cli/environment"]),
    ("files", &["wasi:filesystem/preopens"]),
    (
        "key_value_stores",
        &[
            "fermyon:spin/key-value",
            "spin:key-value/key-value",
            "wasi:keyvalue/store",
        ],
    ),
    ("sqlite_databases", &["fermyon:spin/sqlite", "spin:sqlite/sqlite"]),
    (
        "variables",
        &[
            "fermyon:spin/config",
            "fermyon:spin/variables",
            "spin:variables/variables",
            "wasi:config/store",
        ],
    ),
];

/// What a refused function does. Whatever has no rule traps: those are methods of resources that can't be obtained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// Fails with the first of these cases that the function's error has, no payload.
    Case(&'static [&'static str]),
    /// The same, with the text `"<interface>" is not permitted`.
    NotPermitted(&'static [&'static str]),
    /// Fails with `undefined` and the function's first argument.
    UndefinedName,
    /// Succeeds without a payload.
    Success,
    /// An empty list.
    Empty,
    /// An absent option.
    Absent,
    /// A handle of the resource that it constructs.
    Handle,
    /// Returns nothing.
    Return,
}

/// In a rule: every function that belongs to no resource.
const ANY_FREE: &str = "*";

/// Interface, functions (`resource.function` for those of a resource, `resource` for its constructor), reply.
type Rule = (&'static str, &'static [&'static str], Reply);

const OPENERS: &[&str] = &[
    "connection.open",
    "connection.open-async",
    "connection-builder.build",
    "connection-builder.build-async",
];
const ACCESS_DENIED: Reply = Reply::Case(&["access-denied"]);
const OTHER: Reply = Reply::NotPermitted(&["other"]);

const RULES: &[Rule] = &[
    // `unexpected-error` is the same case in the release candidate of October 2023.
    (
        "wasi:http/outgoing-handler",
        &["handle"],
        Reply::NotPermitted(&["internal-error", "unexpected-error"]),
    ),
    (
        "wasi:http/client",
        &["send"],
        Reply::NotPermitted(&["internal-error"]),
    ),
    (
        "fermyon:spin/http",
        &["send-request"],
        Reply::Case(&["destination-not-allowed"]),
    ),
    ("fermyon:spin/key-value", &["open", "store.open"], ACCESS_DENIED),
    ("fermyon:spin/key-value", &["close"], Reply::Return),
    ("spin:key-value/key-value", &["store.open"], ACCESS_DENIED),
    ("wasi:keyvalue/store", &["open"], ACCESS_DENIED),
    ("fermyon:spin/sqlite", &["open", "connection.open"], ACCESS_DENIED),
    ("fermyon:spin/sqlite", &["close"], Reply::Return),
    (
        "spin:sqlite/sqlite",
        &["connection.open", "connection.open-async"],
        ACCESS_DENIED,
    ),
    ("fermyon:spin/redis", OPENERS, OTHER),
    ("fermyon:spin/redis", &[ANY_FREE], Reply::Case(&["error"])),
    ("fermyon:spin/mqtt", OPENERS, OTHER),
    ("fermyon:spin/mysql", OPENERS, OTHER),
    (
        "fermyon:spin/mysql",
        &[ANY_FREE],
        Reply::NotPermitted(&["other-error"]),
    ),
    ("fermyon:spin/postgres", OPENERS, OTHER),
    (
        "fermyon:spin/postgres",
        &[ANY_FREE],
        Reply::NotPermitted(&["other-error"]),
    ),
    ("spin:redis/redis", OPENERS, OTHER),
    ("spin:mqtt/mqtt", OPENERS, OTHER),
    ("spin:mysql/mysql", OPENERS, OTHER),
    ("spin:mysql/mysql", &["connection-builder"], Reply::Handle),
    (
        "spin:mysql/mysql",
        &["connection-builder.set-ca-root"],
        Reply::Success,
    ),
    ("spin:postgres/postgres", OPENERS, OTHER),
    ("spin:postgres/postgres", &["connection-builder"], Reply::Handle),
    (
        "spin:postgres/postgres",
        &["connection-builder.set-ca-root"],
        Reply::Success,
    ),
    (
        "fermyon:spin/llm",
        &[ANY_FREE],
        Reply::Case(&["model-not-supported"]),
    ),
    ("fermyon:spin/variables", &["get"], Reply::UndefinedName),
    ("spin:variables/variables", &["get"], Reply::UndefinedName),
    ("fermyon:spin/config", &["get-config"], OTHER),
    (
        "wasi:config/store",
        &["get", "get-all"],
        Reply::NotPermitted(&["io"]),
    ),
    (
        "wasi:cli/environment",
        &["get-environment", "get-arguments"],
        Reply::Empty,
    ),
    (
        "wasi:cli/environment",
        &["initial-cwd", "get-initial-cwd"],
        Reply::Absent,
    ),
    ("wasi:filesystem/preopens", &["get-directories"], Reply::Empty),
    (
        "wasi:sockets/ip-name-lookup",
        &["resolve-addresses"],
        ACCESS_DENIED,
    ),
    (
        "wasi:sockets/tcp-create-socket",
        &["create-tcp-socket"],
        ACCESS_DENIED,
    ),
    (
        "wasi:sockets/udp-create-socket",
        &["create-udp-socket"],
        ACCESS_DENIED,
    ),
];

/// Whether a dependency that inherits `keys` is refused the interface. Unknown keys are ignored.
pub(super) fn is_denied(interface: &str, keys: &[String]) -> bool {
    CAPABILITIES
        .iter()
        .any(|(key, interfaces)| interfaces.contains(&interface) && !keys.iter().any(|k| k == key))
}

/// What a refused function does; `None`: it traps. `function` is a name as in WIT's binary form, like
/// `[static]store.open`.
pub(super) fn reply(interface: &str, function: &str) -> Option<Reply> {
    let name = function.rsplit(']').next().unwrap_or(function);
    let is_free = name == function;
    RULES
        .iter()
        .filter(|(rule, ..)| *rule == interface)
        .find(|(_, functions, _)| functions.contains(&name) || (is_free && functions.contains(&ANY_FREE)))
        .map(|(.., reply)| *reply)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_inherited_is_denied_and_the_rest_passes() {
        let keys = ["variables".to_owned(), "no_such_key".to_owned()];
        assert!(!is_denied("fermyon:spin/config", &keys));
        assert!(is_denied("wasi:http/client", &keys));
        assert!(!is_denied("wasi:clocks/wall-clock", &keys));
    }

    #[test]
    fn every_rule_is_about_something_that_can_be_denied() {
        for (interface, ..) in RULES {
            assert!(is_denied(interface, &[]), "{interface}");
        }
    }

    #[test]
    fn functions_are_told_from_methods() {
        assert_eq!(
            reply("fermyon:spin/mysql", "execute"),
            Some(Reply::NotPermitted(&["other-error"]))
        );
        assert_eq!(reply("fermyon:spin/mysql", "[method]connection.execute"), None);
        assert_eq!(
            reply("fermyon:spin/mysql", "[static]connection.open"),
            Some(OTHER)
        );
        assert_eq!(
            reply("spin:mysql/mysql", "[constructor]connection-builder"),
            Some(Reply::Handle)
        );
    }
}
