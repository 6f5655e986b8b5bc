//! What can go wrong, as every version of the interface says it.

use rumqttc::ConnectionError;

use crate::net::ReachError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Error {
    InvalidAddress,
    TooManyConnections,
    ConnectionFailed(String),
    Other(String),
}

impl From<ConnectionError> for Error {
    fn from(error: ConnectionError) -> Self {
        Self::ConnectionFailed(error.to_string())
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        ConnectionError::Io(error).into()
    }
}

impl From<rumqttc::mqttbytes::Error> for Error {
    fn from(error: rumqttc::mqttbytes::Error) -> Self {
        Self::ConnectionFailed(error.to_string())
    }
}

impl From<ReachError> for Error {
    fn from(error: ReachError) -> Self {
        match error {
            ReachError::NoConnectionsAllowed => Self::TooManyConnections,
            ReachError::Resolve(error) | ReachError::Connect(error) => error.into(),
            ReachError::Blocked => Self::ConnectionFailed(error.to_string()),
        }
    }
}
