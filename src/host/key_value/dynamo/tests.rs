//! What needs no server; and, left out of ordinary runs, what needs one: moto's, at `AWS_ENDPOINT_URL`.

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use super::super::store::all_keys;
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

#[test]
fn only_text_that_a_counter_has_may_be_a_number() {
    assert_eq!(number(b"-42"), Some(AttributeValue::N("-42".into())));
    for text in ["", "+1", "01", "1.0", "x", "9223372036854775808"] {
        assert_eq!(number(text.as_bytes()), None, "{text}");
    }
}

#[tokio::test]
#[ignore = "needs a DynamoDB server at AWS_ENDPOINT_URL"]
async fn a_table_does_what_a_store_does() {
    // A second test that installs it finds it there.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let tables = Tables::default();
    let (store, neighbour) = (store(&tables, "shop"), store(&tables, "blog"));
    let attribute = AttributeDefinition::builder()
        .attribute_name(NAME)
        .attribute_type(ScalarAttributeType::S);
    let element = KeySchemaElement::builder()
        .attribute_name(NAME)
        .key_type(KeyType::Hash);
    let created = store.table.client().await.create_table().table_name("stores");
    created
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(element.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();

    neighbour.set("theirs", Vec::new()).await.unwrap();
    for name in ["", "\0", "a:b", "ключ"] {
        store.set(name, name.into()).await.unwrap();
        assert_eq!(store.get(name).await.unwrap(), Some(name.into()), "{name:?}");
        assert!(store.exists(name).await.unwrap());
    }
    let mut keys = all_keys(store.keys()).await.unwrap();
    keys.sort();
    assert_eq!(keys, ["", "\0", "a:b", "ключ"]);
    store.delete("a:b").await.unwrap();
    store.delete("a:b").await.unwrap();
    assert_eq!(store.get("a:b").await.unwrap(), None);

    let pairs = (0..230).map(|number| (format!("n{number}"), vec![7])).collect();
    store.set_many(pairs).await.unwrap();
    let wanted: Vec<_> = (0..231).rev().map(|number| format!("n{number}")).collect();
    let found = store.get_many(wanted.clone()).await.unwrap();
    assert!(found.iter().map(|(key, _)| key).eq(&wanted));
    assert_eq!(found[0].1, None);
    assert!(found[1..].iter().all(|(_, value)| value.as_deref() == Some(&[7])));
    store.delete_many(wanted).await.unwrap();
    assert_eq!(all_keys(store.keys()).await.unwrap().len(), 3);

    assert_eq!(store.increment("count", 5).await.unwrap(), 5);
    assert_eq!(store.increment("count", -7).await.unwrap(), -2);
    assert_eq!(store.get("count").await.unwrap().unwrap(), b"-2");
    let value = |text: &str| Expected::Value(Some(text.into()));
    let swap = async |key, expected, new: &str| store.swap(key, expected, new.into()).await.unwrap();
    assert_eq!(swap("count", value("-2"), "text").await, Swap::Done);
    assert!(store.increment("count", 1).await.unwrap_err().0.contains("count"));

    assert_eq!(swap("k", value("x"), "1").await, Swap::Changed(None));
    assert_eq!(swap("k", Expected::Value(None), "1").await, Swap::Done);
    let changed = Swap::Changed(Some(b"1".to_vec()));
    assert_eq!(swap("k", Expected::Value(None), "2").await, changed);
    assert_eq!(swap("k", value("1"), "").await, Swap::Done);
    assert_eq!(swap("k", value(""), "2").await, Swap::Done);
    assert_eq!(swap("k", Expected::Anything, "3").await, Swap::Done);
    assert_eq!(store.get("k").await.unwrap().unwrap(), b"3");
}
