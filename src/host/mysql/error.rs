//! What can go wrong, as every version of the interface says it.

use mysql_async::IoError;

use crate::host::limits::TOO_LARGE;
use crate::net::ReachError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::host) enum Error {
    ConnectionFailed(String),
    QueryFailed(String),
    ValueConversionFailed(String),
    Other(String),
}

impl Error {
    /// While connecting.
    pub(super) fn connecting(error: &mysql_async::Error) -> Self {
        Self::ConnectionFailed(error.to_string())
    }

    /// While a statement was prepared or executed. The text is the debug form, which guests of Spin are used to find the
    /// server's code in.
    pub(super) fn executing(error: &mysql_async::Error) -> Self {
        if is_too_large(error) {
            return Self::too_large();
        }
        Self::QueryFailed(format!("{error:?}"))
    }

    /// While rows were read.
    pub(super) fn reading(error: &mysql_async::Error) -> Self {
        if is_too_large(error) {
            return Self::too_large();
        }
        Self::Other(error.to_string())
    }

    pub(super) fn too_large() -> Self {
        Self::Other(TOO_LARGE.into())
    }
}

/// A packet of more than what was allowed when connecting.
fn is_too_large(error: &mysql_async::Error) -> bool {
    match error {
        mysql_async::Error::Driver(mysql_async::DriverError::PacketTooLarge) => true,
        mysql_async::Error::Io(IoError::Io(error)) => {
            let inner = error.get_ref().map(ToString::to_string);
            inner.is_some_and(|text| text.contains("larger than max_allowed_packet"))
        }
        _ => false,
    }
}

impl From<ReachError> for Error {
    fn from(error: ReachError) -> Self {
        Self::ConnectionFailed(match error {
            ReachError::NoConnectionsAllowed => "too many connections".into(),
            ReachError::Resolve(error) | ReachError::Connect(error) => error.to_string(),
            ReachError::Blocked => error.to_string(),
        })
    }
}
