//! The table that `spin up` keeps, and what is done with it (`docs/contract/runtime-config.md §3`).

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OptionalExtension, Row, ToSql};

use crate::host::key_value::store::{Budget, Expected, StoreError, Swap};
use crate::host::limits::MAX_BUFFERED;

pub(super) const CREATE: &str = "CREATE TABLE IF NOT EXISTS spin_key_value (
    store TEXT NOT NULL,
    key   TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (store, key)
)";

/// Bytes of a counter: a signed integer, the lowest byte first.
const COUNTER: usize = size_of::<i64>();
/// Keys in one page, at most.
const PAGE: usize = 1_000;
/// Bytes of keys after which a page ends.
const PAGE_BYTES: usize = 1024 * 1024;

pub(super) fn get(connection: &Connection, store: &str, key: &str) -> Result<Option<Vec<u8>>, StoreError> {
    let sql = "SELECT value FROM spin_key_value WHERE store = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let value = statement
        .query_row((store, key), |row| Ok(bytes(row)))
        .optional()?;
    value.transpose()
}

fn bytes(row: &Row<'_>) -> Result<Vec<u8>, StoreError> {
    match row.get_ref(0)? {
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) if bytes.len() > MAX_BUFFERED => {
            Err(StoreError::too_large())
        }
        ValueRef::Blob(bytes) | ValueRef::Text(bytes) => Ok(bytes.to_vec()),
        // Nothing but another program's SQL can leave one.
        other => Err(StoreError::new(format!(
            "the value is of the type {}, not bytes",
            other.data_type()
        ))),
    }
}

pub(super) fn set(connection: &Connection, store: &str, key: &str, value: &[u8]) -> Result<(), StoreError> {
    let sql = "INSERT INTO spin_key_value (store, key, value) VALUES (?1, ?2, ?3)
        ON CONFLICT (store, key) DO UPDATE SET value = excluded.value";
    connection.prepare_cached(sql)?.execute((store, key, value))?;
    Ok(())
}

pub(super) fn delete(connection: &Connection, store: &str, key: &str) -> Result<(), StoreError> {
    let sql = "DELETE FROM spin_key_value WHERE store = ?1 AND key = ?2";
    connection.prepare_cached(sql)?.execute((store, key))?;
    Ok(())
}

pub(super) fn exists(connection: &Connection, store: &str, key: &str) -> Result<bool, StoreError> {
    let sql = "SELECT 1 FROM spin_key_value WHERE store = ?1 AND key = ?2";
    Ok(connection.prepare_cached(sql)?.exists((store, key))?)
}

/// The next keys after `after`, in the order of their bytes, and whether they are the last.
pub(super) fn page(
    connection: &Connection,
    store: &str,
    after: Option<&str>,
) -> Result<(Vec<String>, bool), StoreError> {
    // Two statements, because no key comes before the empty one.
    let (sql, parameters): (_, &[&dyn ToSql]) = match &after {
        None => (
            "SELECT key FROM spin_key_value WHERE store = ?1 ORDER BY key",
            &[&store],
        ),
        Some(after) => (
            "SELECT key FROM spin_key_value WHERE store = ?1 AND key > ?2 ORDER BY key",
            &[&store, after],
        ),
    };
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query(parameters)?;
    let (mut keys, mut bytes) = (Vec::new(), 0);
    while keys.len() < PAGE && bytes < PAGE_BYTES {
        let Some(row) = rows.next()? else {
            return Ok((keys, true));
        };
        let key: String = row.get(0)?;
        bytes += key.len();
        keys.push(key);
    }
    Ok((keys, false))
}

/// Keys, and what they hold.
pub(super) type Found = Vec<(String, Option<Vec<u8>>)>;

pub(super) fn get_many(connection: &Connection, store: &str, keys: Vec<String>) -> Result<Found, StoreError> {
    let mut budget = Budget::default();
    let mut found = Vec::with_capacity(keys.len());
    for key in keys {
        let value = get(connection, store, &key)?;
        budget.take(value.as_ref().map_or(0, Vec::len))?;
        found.push((key, value));
    }
    Ok(found)
}

pub(super) fn increment(
    connection: &Connection,
    store: &str,
    key: &str,
    delta: i64,
) -> Result<i64, StoreError> {
    let number = match get(connection, store, key)? {
        None => 0,
        Some(value) => {
            let error = || StoreError::not_a_counter(key, "it is not 8 bytes long");
            i64::from_le_bytes(<[u8; COUNTER]>::try_from(value).map_err(|_| error())?)
        }
    };
    let number = number
        .checked_add(delta)
        .ok_or_else(|| StoreError::not_a_counter(key, "it would not fit into 64 bits"))?;
    set(connection, store, key, &number.to_le_bytes())?;
    Ok(number)
}

pub(super) fn swap(
    connection: &Connection,
    store: &str,
    key: &str,
    expected: &Expected,
    value: &[u8],
) -> Result<Swap, StoreError> {
    if let Expected::Value(expected) = expected {
        let current = get(connection, store, key)?;
        if current != *expected {
            return Ok(Swap::Changed(current));
        }
    }
    set(connection, store, key, value)?;
    Ok(Swap::Done)
}

/// All of `work` or nothing of it, inside a transaction that has other work too.
pub(super) fn atomically(
    connection: &Connection,
    work: impl FnOnce() -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    connection.execute_batch("SAVEPOINT many")?;
    let result = work();
    if result.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK TO many; RELEASE many")?;
    }
    result?;
    Ok(connection.execute_batch("RELEASE many")?)
}

/// For tests: what the table holds, in order.
#[cfg(test)]
pub(super) fn rows(connection: &Connection) -> Vec<(String, String, rusqlite::types::Value)> {
    let mut statement = connection
        .prepare("SELECT store, key, value FROM spin_key_value ORDER BY store, key")
        .unwrap();
    let rows = statement.query_map((), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    rows.unwrap().collect::<Result<_, _>>().unwrap()
}
