//! Counters: decimal text, as Spin's own client of the service writes it, and as Redis has it.
//!
//! The service adds to numbers only, which Spin does not read. So the text is exchanged for the next one, as often as
//! another caller was faster.

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};

use super::DynamoStore;
use crate::host::key_value::store::{Expected, Store, StoreError, Swap};

/// How long one increment may take.
const TIME_LIMIT: Duration = Duration::from_secs(30);
/// The pause after the first exchange that came too late, its jitter (up to as much again) not counted.
const FIRST_PAUSE: Duration = Duration::from_millis(5);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_millis(200);

pub(super) async fn increment(store: &DynamoStore, key: &str, delta: i64) -> Result<i64, StoreError> {
    match tokio::time::timeout(TIME_LIMIT, exchange(store, key, delta)).await {
        Ok(result) => result,
        Err(_) => Err(StoreError::not_a_counter(key, "it changes too often")),
    }
}

async fn exchange(store: &DynamoStore, key: &str, delta: i64) -> Result<i64, StoreError> {
    let pauses = ExponentialBuilder::new()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE);
    let mut pauses = pauses.with_jitter().without_max_times().build();
    let mut current = store.read(key, true).await?;
    loop {
        let next = sum(current.as_deref(), delta).map_err(|why| StoreError::not_a_counter(key, why))?;
        let text = next.to_string().into_bytes();
        match store.swap(key, Expected::Value(current), text).await? {
            Swap::Done => return Ok(next),
            Swap::Changed(now) => current = now,
        }
        tokio::time::sleep(pauses.next().unwrap_or(LONGEST_PAUSE)).await;
    }
}

/// An error is in words.
fn sum(current: Option<&[u8]>, delta: i64) -> Result<i64, &'static str> {
    let current: i64 = match current {
        None => 0,
        Some(text) => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or("it is not a decimal number of 64 bits")?,
    };
    current
        .checked_add(delta)
        .ok_or("the sum would not fit into 64 bits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_decimal_text_and_a_missing_one_is_zero() {
        assert_eq!(sum(None, -7), Ok(-7));
        assert_eq!(sum(Some(b"5"), -7), Ok(-2));
        assert_eq!(sum(Some(b"-9223372036854775808"), i64::MAX), Ok(-1));
        for text in ["", "1.0", " 1", "x", "9223372036854775808"] {
            assert!(sum(Some(text.as_bytes()), 0).is_err(), "{text:?}");
        }
        assert!(sum(Some(&[0xff]), 1).is_err());
    }

    #[test]
    fn a_sum_that_does_not_fit_is_an_error() {
        assert!(sum(Some(b"9223372036854775807"), 1).is_err());
        assert!(sum(Some(b"-1"), i64::MIN).is_err());
    }
}
