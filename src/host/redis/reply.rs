//! What Redis answers, as the interface has it.

use redis::{ErrorKind, RedisError, RedisResult, Value};

use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};
use crate::net::ReachError;

/// What every version of the interface can say went wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Error {
    InvalidAddress,
    TooManyConnections,
    /// A reply of another type than the command has.
    WrongType,
    Other(String),
}

/// An argument of `execute`.
pub(super) enum Parameter {
    Int64(i64),
    Binary(Vec<u8>),
}

/// One value of a reply to `execute`.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Reply {
    Nil,
    Status(String),
    Int64(i64),
    Binary(Vec<u8>),
}

impl Error {
    pub(super) fn too_large() -> Self {
        Self::Other(TOO_LARGE.into())
    }
}

impl From<RedisError> for Error {
    fn from(error: RedisError) -> Self {
        Self::Other(match error.kind() {
            // As guests of Spin, which has an older version of the library, see it.
            ErrorKind::Server(kind) => format!(
                "An error was signalled by the server - {kind:?}: {}",
                error.detail().unwrap_or_default()
            ),
            _ => error.to_string(),
        })
    }
}

impl From<ReachError> for Error {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::NoConnectionsAllowed => Self::TooManyConnections,
            ReachError::Resolve(error) | ReachError::Connect(error) => Self::Other(error.to_string()),
            ReachError::Blocked => Self::Other(error.to_string()),
        }
    }
}

/// A reply as a flat list: arrays and sets have their elements inline, recursively.
pub(super) fn flatten(value: Value) -> Result<Vec<Reply>, Error> {
    let mut flat = Flat {
        replies: Vec::new(),
        bytes: 0,
    };
    flat.append(value)?;
    Ok(flat.replies)
}

struct Flat {
    replies: Vec<Reply>,
    /// What the list takes in memory.
    bytes: usize,
}

impl Flat {
    /// Recursion is bounded by the parser, which refuses deeper replies.
    fn append(&mut self, value: Value) -> Result<(), Error> {
        match value {
            Value::Nil => self.push(Reply::Nil, 0),
            Value::Int(number) => self.push(Reply::Int64(number), 0),
            Value::Boolean(truth) => self.push(Reply::Int64(truth.into()), 0),
            Value::BulkString(bytes) => self.binary(bytes),
            Value::SimpleString(text) => {
                let length = text.len();
                self.push(Reply::Status(text), length)
            }
            Value::Okay => self.push(Reply::Status("OK".into()), 2),
            Value::Double(number) => self.binary(number.to_string().into_bytes()),
            Value::BigNumber(number) => self.binary(number.to_string().into_bytes()),
            Value::Array(values) | Value::Set(values) => {
                values.into_iter().try_for_each(|value| self.append(value))
            }
            Value::Map(_) => unsupported("Redis Map type is not supported"),
            Value::Attribute { .. } => unsupported("Redis Attribute type is not supported"),
            Value::VerbatimString { .. } => {
                unsupported("Redis string with format attribute is not supported")
            }
            Value::Push { .. } => unsupported("Redis Pub/Sub types are not supported"),
            Value::ServerError(error) => Err(Error::Other(error.to_string())),
            _ => unsupported("this type of Redis is not supported"),
        }
    }

    fn binary(&mut self, bytes: Vec<u8>) -> Result<(), Error> {
        let length = bytes.len();
        self.push(Reply::Binary(bytes), length)
    }

    fn push(&mut self, reply: Reply, length: usize) -> Result<(), Error> {
        self.bytes += size_of::<Reply>() + length;
        if self.bytes > MAX_BUFFERED {
            return Err(Error::too_large());
        }
        self.replies.push(reply);
        Ok(())
    }
}

fn unsupported(what: &str) -> Result<(), Error> {
    Err(Error::Other(format!(
        "Could not convert Redis response - TypeError: {what}"
    )))
}

/// `sadd` alone tells a reply of another type apart: `QUEUED`, say. An error of the server (`WRONGTYPE`, the key is no set)
/// is no reply of another type.
pub(super) fn sadd_error(result: RedisResult<u32>) -> Result<u32, Error> {
    result.map_err(|error| match error.kind() {
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => Error::WrongType,
        _ => error.into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_replies_become_one_list() {
        let value = Value::Array(vec![
            Value::Nil,
            Value::Array(vec![Value::Int(-1), Value::Set(vec![Value::Boolean(true)])]),
            Value::Array(vec![]),
            Value::Okay,
            Value::SimpleString("QUEUED".into()),
            Value::BulkString(vec![0, 255]),
            Value::Double(1.5),
        ]);
        assert_eq!(
            flatten(value),
            Ok(vec![
                Reply::Nil,
                Reply::Int64(-1),
                Reply::Int64(1),
                Reply::Status("OK".into()),
                Reply::Status("QUEUED".into()),
                Reply::Binary(vec![0, 255]),
                Reply::Binary(b"1.5".to_vec()),
            ])
        );
    }

    #[test]
    fn what_the_interface_has_no_type_for_is_an_error() {
        for value in [
            Value::Map(vec![(Value::Nil, Value::Nil)]),
            Value::VerbatimString {
                format: redis::VerbatimFormat::Text,
                text: "x".into(),
            },
            Value::Push {
                kind: redis::PushKind::Message,
                data: vec![],
            },
            Value::Array(vec![Value::Int(1), Value::Map(vec![])]),
        ] {
            assert!(matches!(flatten(value), Err(Error::Other(_))));
        }
    }

    #[test]
    fn more_than_the_host_buffers_is_an_error() {
        let element = || Value::BulkString(vec![0; MAX_BUFFERED / 4]);
        let value = Value::Array((0..4).map(|_| element()).collect());
        assert_eq!(flatten(value), Err(Error::too_large()));
    }
}
