//! What needs no server; `tests/scenarios/aws/dynamo.rs` is the rest.

use super::*;
use crate::variables::Secret;

fn definition(access_key: Option<&str>, secret_key: Option<&str>) -> KeyValueStore {
    KeyValueStore::AwsDynamo {
        access_key: access_key.map(Secret::new),
        secret_key: secret_key.map(Secret::new),
        token: None,
        region: "eu-west-1".into(),
        consistent_read: true,
        table: "stores".into(),
    }
}

fn store(tables: &Tables, app: &str) -> DynamoStore {
    let definition = definition(Some("key"), Some("secret"));
    tables.store(&definition, app, "default").unwrap()
}

#[test]
fn a_definition_has_one_client() {
    let tables = Tables::default();
    let (one, other) = (store(&tables, "shop"), store(&tables, "blog"));
    assert!(Arc::ptr_eq(&one.table, &other.table));
    let ambient = tables.store(&definition(None, None), "shop", "default").unwrap();
    assert!(!Arc::ptr_eq(&one.table, &ambient.table));
}

#[test]
fn one_key_without_the_other_is_refused() {
    let tables = Tables::default();
    let error = tables.store(&definition(Some("key"), None), "shop", "default");
    assert!(error.err().unwrap().contains("secret_key"));
    let other = KeyValueStore::Spin { path: None };
    assert!(tables.store(&other, "shop", "default").is_err());
}
