//! The `aws_dynamo` type: items `<app>:<label>:<key>` of a table with the partition key `PK`, a string.

mod batch;
mod counter;
mod item;
mod table;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use async_trait::async_trait;
use aws_sdk_dynamodb::config::Builder;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use futures::StreamExt;
use futures::stream;

use super::prefix::prefix;
use super::store::{Expected, KeyPages, Store, StoreError, Swap};
use crate::runtime_config::KeyValueStore;
use item::{NAME, VALUE, bytes, key, name_of, value_of, written};
use table::{Definition, Table, failed};

/// The tables that are in use: one client for each definition.
#[derive(Default)]
pub(super) struct Tables {
    tables: Mutex<Vec<Weak<Table>>>,
}

impl Tables {
    /// The store of one app's label; nothing is connected. An error says what is missing.
    pub(super) fn store(&self, store: &KeyValueStore, app: &str, label: &str) -> Result<DynamoStore, String> {
        let definition = Definition::of(store)?;
        // Nothing under the lock can panic half-way.
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let known = tables
            .iter()
            .filter_map(Weak::upgrade)
            .find(|table| table.is(&definition));
        let table = known.unwrap_or_else(|| {
            let table = Arc::new(Table::new(definition));
            tables.retain(|table| table.strong_count() > 0);
            tables.push(Arc::downgrade(&table));
            table
        });
        let prefix = prefix(app, label).into();
        Ok(DynamoStore { table, prefix })
    }
}

/// One label of one app in a table.
pub(super) struct DynamoStore {
    table: Arc<Table>,
    prefix: Arc<str>,
}

impl DynamoStore {
    fn name(&self, key: &str) -> String {
        format!("{}{key}", self.prefix)
    }

    async fn read(&self, key_text: &str, consistent: bool) -> Result<Option<Vec<u8>>, StoreError> {
        let request = self.table.client().await.get_item();
        let answer = request
            .table_name(self.table.name())
            .set_key(Some(key(&self.name(key_text))))
            .consistent_read(consistent)
            .send()
            .await
            .map_err(failed)?;
        answer.item.as_ref().map(value_of).transpose()
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(key, self.table.consistent_read()).await
    }

    async fn set(&self, key: &str, value: Vec<u8>) -> Result<(), StoreError> {
        let request = self.table.client().await.put_item();
        request
            .table_name(self.table.name())
            .set_item(Some(written(&self.name(key), value)))
            .send()
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn delete(&self, key_text: &str) -> Result<(), StoreError> {
        let request = self.table.client().await.delete_item();
        request
            .table_name(self.table.name())
            .set_key(Some(key(&self.name(key_text))))
            .send()
            .await
            .map_err(failed)?;
        Ok(())
    }

    async fn exists(&self, key_text: &str) -> Result<bool, StoreError> {
        let request = self.table.client().await.get_item();
        let answer = request
            .table_name(self.table.name())
            .set_key(Some(key(&self.name(key_text))))
            .consistent_read(self.table.consistent_read())
            .projection_expression(NAME)
            .send()
            .await
            .map_err(failed)?;
        Ok(answer.item.is_some())
    }

    /// Looks at the whole table: the service can only select by what follows a partition key.
    fn keys(&self) -> KeyPages {
        /// After which item the next page begins; the outer `None` is the end.
        type Next = Option<Option<HashMap<String, AttributeValue>>>;
        let (table, prefix) = (self.table.clone(), self.prefix.clone());
        stream::try_unfold(Some(None), move |next: Next| {
            let (table, prefix) = (table.clone(), prefix.clone());
            async move {
                let Some(start) = next else {
                    return Ok(None);
                };
                let request = table.client().await.scan();
                let answer = request
                    .table_name(table.name())
                    .consistent_read(table.consistent_read())
                    .filter_expression("begins_with(#name, :prefix)")
                    .projection_expression("#name")
                    .expression_attribute_names("#name", NAME)
                    .expression_attribute_values(":prefix", AttributeValue::S(prefix.to_string()))
                    .set_exclusive_start_key(start)
                    .send()
                    .await
                    .map_err(failed)?;
                let mut keys = Vec::with_capacity(answer.items().len());
                for item in answer.items() {
                    keys.extend(name_of(item)?.strip_prefix(&*prefix).map(str::to_owned));
                }
                Ok(Some((keys, answer.last_evaluated_key.map(Some))))
            }
        })
        .boxed()
    }

    async fn get_many(&self, keys: Vec<String>) -> Result<Vec<(String, Option<Vec<u8>>)>, StoreError> {
        let names: HashSet<_> = keys.iter().map(|key| self.name(key)).collect();
        let found = batch::read(&self.table, names).await?;
        let value = |key: &str| found.get(&self.name(key)).cloned();
        Ok(keys
            .into_iter()
            .map(|key| {
                let value = value(&key);
                (key, value)
            })
            .collect())
    }

    async fn set_many(&self, pairs: Vec<(String, Vec<u8>)>) -> Result<(), StoreError> {
        let changes = pairs
            .into_iter()
            .map(|(key, value)| (self.name(&key), Some(value)));
        batch::write(&self.table, changes.collect()).await
    }

    async fn delete_many(&self, keys: Vec<String>) -> Result<(), StoreError> {
        let changes = keys.iter().map(|key| (self.name(key), None));
        batch::write(&self.table, changes.collect()).await
    }

    async fn increment(&self, key: &str, delta: i64) -> Result<i64, StoreError> {
        counter::increment(self, key, delta).await
    }

    async fn swap(&self, key: &str, expected: Expected, value: Vec<u8>) -> Result<Swap, StoreError> {
        let Expected::Value(expected) = expected else {
            return self.set(key, value).await.map(|()| Swap::Done);
        };
        let request = self.table.client().await.put_item();
        let request = request
            .table_name(self.table.name())
            .set_item(Some(written(&self.name(key), value)))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match expected {
            None => request
                .condition_expression("attribute_not_exists(#name)")
                .expression_attribute_names("#name", NAME),
            Some(expected) => request
                .condition_expression("#value = :expected")
                .expression_attribute_names("#value", VALUE)
                .expression_attribute_values(":expected", bytes(expected)),
        };
        match request.customize().config_override(once()).send().await {
            Ok(_) => Ok(Swap::Done),
            Err(SdkError::ServiceError(error)) => match error.err() {
                PutItemError::ConditionalCheckFailedException(failure) => {
                    Ok(Swap::Changed(failure.item().map(value_of).transpose()?))
                }
                _ => Err(failed(SdkError::ServiceError(error))),
            },
            Err(error) => Err(failed(error)),
        }
    }
}

/// A request that is not repeated: its effect would not be the same twice.
fn once() -> Builder {
    Builder::new().retry_config(RetryConfig::disabled())
}
