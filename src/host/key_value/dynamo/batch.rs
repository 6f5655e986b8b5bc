//! Reading and writing many items: in portions, of which the service may leave parts undone.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use aws_sdk_dynamodb::types::{DeleteRequest, KeysAndAttributes, PutRequest, WriteRequest};

use super::item::{key, name_of, value_of, written};
use super::table::{Table, failed};
use crate::host::key_value::store::{Budget, StoreError};

/// Items that one request may ask for.
const READS: usize = 100;
/// Items that one request may write.
const WRITES: usize = 25;
/// Requests in a row that may do nothing before the call fails.
const IDLE_REQUESTS: u32 = 8;
/// The pause after the first request that did nothing; it doubles each time.
const FIRST_PAUSE: Duration = Duration::from_millis(50);

/// Values by the names of their items; a missing item has none.
pub(super) async fn read(
    table: &Table,
    names: HashSet<String>,
) -> Result<HashMap<String, Vec<u8>>, StoreError> {
    let names: Vec<_> = names.into_iter().collect();
    let mut budget = Budget::default();
    let mut found = HashMap::new();
    for portion in names.chunks(READS) {
        let keys = portion.iter().map(|name| key(name)).collect();
        let keys = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .consistent_read(table.consistent_read())
            .build()
            .map_err(|error| StoreError(error.to_string()))?;
        let mut rest = Some(HashMap::from([(table.name().to_owned(), keys)]));
        let mut patience = Patience::default();
        while let Some(request) = rest.filter(|rest| !rest.is_empty()) {
            let client = table.client().await;
            let answer = client
                .batch_get_item()
                .set_request_items(Some(request))
                .send()
                .await;
            let answer = answer.map_err(failed)?;
            let items = answer.responses.unwrap_or_default().remove(table.name());
            let items = items.unwrap_or_default();
            patience.after(!items.is_empty()).await?;
            for item in &items {
                let (name, value) = (name_of(item)?, value_of(item)?);
                budget.take(value.len())?;
                found.insert(name.to_owned(), value);
            }
            rest = answer.unprocessed_keys;
        }
    }
    Ok(found)
}

/// Writes values, and deletes where there is none. One portion after the other, so an error leaves the earlier ones.
pub(super) async fn write(
    table: &Table,
    changes: HashMap<String, Option<Vec<u8>>>,
) -> Result<(), StoreError> {
    let requests = changes
        .into_iter()
        .map(|(name, value)| request(&name, value))
        .collect::<Result<Vec<_>, _>>()?;
    for portion in requests.chunks(WRITES) {
        let mut rest = Some(HashMap::from([(table.name().to_owned(), portion.to_vec())]));
        let mut patience = Patience::default();
        while let Some(request) = rest.filter(|rest| !rest.is_empty()) {
            let before: usize = request.values().map(Vec::len).sum();
            let client = table.client().await;
            let answer = client
                .batch_write_item()
                .set_request_items(Some(request))
                .send()
                .await;
            let answer = answer.map_err(failed)?;
            rest = answer.unprocessed_items;
            let after: usize = rest.iter().flat_map(HashMap::values).map(Vec::len).sum();
            patience.after(after < before).await?;
        }
    }
    Ok(())
}

fn request(name: &str, value: Option<Vec<u8>>) -> Result<WriteRequest, StoreError> {
    let incomplete = |error: aws_sdk_dynamodb::error::BuildError| StoreError(error.to_string());
    let request = WriteRequest::builder();
    let request = match value {
        Some(value) => {
            let put = PutRequest::builder().set_item(Some(written(name, value))).build();
            request.put_request(put.map_err(incomplete)?)
        }
        None => {
            let delete = DeleteRequest::builder().set_key(Some(key(name))).build();
            request.delete_request(delete.map_err(incomplete)?)
        }
    };
    Ok(request.build())
}

/// How often, and after which pause, a request is made again that did nothing.
#[derive(Default)]
struct Patience {
    idle: u32,
}

impl Patience {
    async fn after(&mut self, progress: bool) -> Result<(), StoreError> {
        if progress {
            self.idle = 0;
            return Ok(());
        }
        if self.idle == IDLE_REQUESTS {
            return Err(StoreError::new(
                "DynamoDB leaves the items undone: the table is too busy",
            ));
        }
        tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.idle)).await;
        self.idle += 1;
        Ok(())
    }
}
