use super::*;

/// The example of the contract.
const FULL: &str = r#"
state_dir = "/var/lib/app"
log_dir = "/var/log/app"
max_instance_memory = 268435456

[key_value_store.default]
type = "spin"
path = "kv.db"

[key_value_store.cache]
type = "redis"
url = "redis://cache:6379"

[sqlite_database.default]
type = "spin"
path = "data.db"

[sqlite_database.remote]
type = "libsql"
url = "https://db.example.org"
token = "hush"

[[variables_provider]]
type = "vault"
url = "http://127.0.0.1:8200"
token = "hush"
mount = "secret"

[llm_compute]
type = "remote_http"
url = "http://llm:3000"
auth_token = "hush"

[outbound_networking]
block_networks = ["10.0.0.0/8", "private"]

[outbound_http]
connection_pooling = true
max_connections = 100
"#;

fn reason(text: &str) -> String {
    raw::parse(text).unwrap_err()
}

#[test]
fn the_example_of_the_contract_is_read_whole() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runtime-config.toml");
    std::fs::write(&file, FULL).unwrap();
    let mut config = RuntimeConfig::read(&file).unwrap();
    config.resolve_store_paths(directory.path());
    assert_eq!(config.state_dir.as_deref(), Some(Path::new("/var/lib/app")));
    assert_eq!(
        config.key_value_stores["default"],
        KeyValueStore::Spin {
            path: Some(directory.path().join("kv.db"))
        }
    );
    assert!(matches!(
        config.sqlite_databases["remote"],
        SqliteDatabase::Libsql { .. }
    ));
    assert_eq!(config.variables_providers.len(), 1);
    assert_eq!(config.outbound_networking.block_networks.len(), 2);
    assert_eq!(config.outbound_http.unwrap().max_connections, Some(100));
}

#[test]
fn secrets_are_not_shown() {
    let shown = format!("{:?}", raw::parse(FULL).unwrap());
    assert!(
        !shown.contains("hush") && !shown.contains("cache:6379"),
        "{shown}"
    );
}

#[test]
fn json_is_read_like_toml() {
    let json = r#"{"key_value_store": {"cache": {"type": "redis", "url": "redis://h"}}}"#;
    let config: RuntimeConfig = serde_json::from_str(json).unwrap();
    assert!(matches!(
        config.key_value_stores["cache"],
        KeyValueStore::Redis { .. }
    ));
}

#[test]
fn unknown_names_are_told_with_place_and_alternatives() {
    let told = reason("[key_value_stores.default]\ntype = \"spin\"");
    assert!(
        told.contains("line 1") && told.contains("`key_value_stores`") && told.contains("`key_value_store`"),
        "{told}"
    );
    let told = reason("[key_value_store.default]\ntype = \"etcd\"");
    assert!(told.contains("`etcd`") && told.contains("`redis`"), "{told}");
    let told = reason("[key_value_store.default]\ntype = \"redis\"\naddress = \"x\"");
    assert!(told.contains("`address`"), "{told}");
}

#[test]
fn what_this_host_does_not_have_is_named() {
    let told = reason(
        "[key_value_store.default]\ntype = \"azure_cosmos\"\naccount = \"a\"\ndatabase = \"d\"\ncontainer = \"c\"",
    );
    assert!(
        told.contains("key_value_store.default") && told.contains("`azure_cosmos`"),
        "{told}"
    );
}

#[test]
fn pooling_is_off_in_a_table_that_does_not_name_it() {
    let config = raw::parse("[outbound_http]\nmax_concurrent_requests = 4").unwrap();
    let http = config.outbound_http.unwrap();
    assert!(!http.connection_pooling);
    assert_eq!(http.max_connections, Some(5));
}

#[test]
fn an_apps_own_configuration_wins_and_what_the_daemon_blocks_stays_blocked() {
    let app = raw::parse("[key_value_store.default]\ntype = \"redis\"\nurl = \"redis://own\"").unwrap();
    let daemon = raw::parse(FULL).unwrap();
    let both = app.over(&daemon);
    assert!(matches!(
        both.key_value_stores["default"],
        KeyValueStore::Redis { .. }
    ));
    assert!(both.key_value_stores.contains_key("cache"));
    assert_eq!(both.outbound_networking.block_networks.len(), 2);
    assert_eq!(both.max_instance_memory, Some(268_435_456));
}

#[test]
fn half_a_client_certificate_is_refused() {
    let told =
        reason("[[client_tls]]\ncomponent_ids = [\"a\"]\nhosts = [\"h\"]\nclient_cert_file = \"c.pem\"");
    assert!(told.contains("client_private_key_file"), "{told}");
}
