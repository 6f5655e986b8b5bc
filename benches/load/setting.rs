//! What the environment says.

use std::fmt::Debug;
use std::str::FromStr;

/// The number that the variable `name` holds.
pub fn number<T: FromStr<Err: Debug>>(name: &str, default: T) -> T {
    match std::env::var(name) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|error| panic!("{name} is not a number: {error:?}")),
        Err(_) => default,
    }
}
