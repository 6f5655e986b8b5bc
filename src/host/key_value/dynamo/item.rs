//! The attributes of an item: its name, and its value as bytes. They are those of Spin's own client.

use std::collections::HashMap;

use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use crate::host::key_value::store::StoreError;
use crate::host::limits::MAX_BUFFERED;

/// The attribute that an item is found by: the table's partition key.
pub(super) const NAME: &str = "PK";
/// The attribute with the value.
pub(super) const VALUE: &str = "VAL";

pub(super) type Item = HashMap<String, AttributeValue>;

pub(super) fn key(name: &str) -> Item {
    Item::from([(NAME.into(), AttributeValue::S(name.into()))])
}

pub(super) fn written(name: &str, value: Vec<u8>) -> Item {
    let mut item = key(name);
    item.insert(VALUE.into(), bytes(value));
    item
}

pub(super) fn bytes(value: Vec<u8>) -> AttributeValue {
    AttributeValue::B(Blob::new(value))
}

pub(super) fn name_of(item: &Item) -> Result<&str, StoreError> {
    match item.get(NAME) {
        Some(AttributeValue::S(name)) => Ok(name),
        _ => Err(StoreError::new("DynamoDB: an item has no name `PK`")),
    }
}

/// An error is an item that something else has written.
pub(super) fn value_of(item: &Item) -> Result<Vec<u8>, StoreError> {
    let Some(AttributeValue::B(value)) = item.get(VALUE) else {
        return Err(StoreError::new("DynamoDB: the item's `VAL` is not binary"));
    };
    let value = value.as_ref();
    if value.len() > MAX_BUFFERED {
        return Err(StoreError::too_large());
    }
    Ok(value.to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_bytes() {
        assert_eq!(value_of(&written("a:b:k", vec![0, 1])).unwrap(), [0, 1]);
        let mut item = key("a:b:k");
        assert!(value_of(&item).is_err());
        item.insert(VALUE.into(), AttributeValue::N("-42".into()));
        assert!(value_of(&item).unwrap_err().0.contains("`VAL`"));
        assert_eq!(name_of(&item).unwrap(), "a:b:k");
    }
}
