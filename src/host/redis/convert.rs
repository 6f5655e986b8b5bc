//! Our types and those of each version of the interface.

use super::bindings::fermyon::spin::redis as v1;
use super::bindings::fermyon::spin2_0_0::redis as v2;
use super::bindings::spin::redis::redis as v3;
use super::reply::{Error, Parameter, Reply};

macro_rules! conversions {
    ($version:ident) => {
        impl From<$version::RedisParameter> for Parameter {
            fn from(parameter: $version::RedisParameter) -> Self {
                match parameter {
                    $version::RedisParameter::Int64(number) => Self::Int64(number),
                    $version::RedisParameter::Binary(bytes) => Self::Binary(bytes),
                }
            }
        }

        impl From<Reply> for $version::RedisResult {
            fn from(reply: Reply) -> Self {
                match reply {
                    Reply::Nil => Self::Nil,
                    Reply::Status(text) => Self::Status(text),
                    Reply::Int64(number) => Self::Int64(number),
                    Reply::Binary(bytes) => Self::Binary(bytes),
                }
            }
        }
    };
}

conversions!(v1);
conversions!(v2);
conversions!(v3);

macro_rules! errors {
    ($version:ident) => {
        impl From<Error> for $version::Error {
            fn from(error: Error) -> Self {
                match error {
                    Error::InvalidAddress => Self::InvalidAddress,
                    Error::TooManyConnections => Self::TooManyConnections,
                    Error::WrongType => Self::TypeError,
                    Error::Other(text) => Self::Other(text),
                }
            }
        }
    };
}

errors!(v2);
errors!(v3);

/// The words go to the log, since the guest gets none.
impl From<Error> for v1::Error {
    fn from(error: Error) -> Self {
        tracing::debug!(?error, "a redis call failed");
        Self::Error
    }
}
