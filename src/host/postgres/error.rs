//! What may go wrong, as the newest interface tells it, and the texts of it (`docs/contract/host-interfaces.md §5.7`).

use std::error::Error as StdError;
use std::fmt::Write as _;

use tokio_postgres::Error as ServerError;
use tokio_postgres::error::DbError;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Error {
    ConnectionFailed(String),
    BadParameter(String),
    QueryFailed(QueryError),
    ValueConversionFailed(String),
    Other(String),
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum QueryError {
    /// Not from the server: the connection, or a value of the wrong type for its placeholder.
    Text(String),
    Server(Box<Report>),
}

/// What the server reports of an error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) as_text: String,
    pub(super) severity: String,
    /// SQLSTATE.
    pub(super) code: String,
    pub(super) message: String,
    pub(super) detail: Option<String>,
    pub(super) extras: Vec<(String, String)>,
}

impl QueryError {
    /// For versions of the interface that have nothing else.
    pub(super) fn into_text(self) -> String {
        match self {
            Self::Text(text) => text,
            Self::Server(report) => report.as_text,
        }
    }
}

impl Error {
    /// A statement that failed. Its text is the client library's own rendering, which guests of every version know.
    pub(super) fn of_query(error: &ServerError) -> Self {
        let as_text = format!("{error:?}");
        Self::QueryFailed(match error.as_db_error() {
            None => QueryError::Text(as_text),
            Some(server) => QueryError::Server(Box::new(Report {
                as_text,
                severity: server.severity().to_owned(),
                code: server.code().code().to_owned(),
                message: server.message().to_owned(),
                detail: server.detail().map(str::to_owned),
                extras: extras(server),
            })),
        })
    }
}

fn extras(server: &DbError) -> Vec<(String, String)> {
    let line = server.line().map(|line| line.to_string());
    let named = [
        ("column", server.column()),
        ("constraint", server.constraint()),
        ("routine", server.routine()),
        ("hint", server.hint()),
        ("table", server.table()),
        ("datatype", server.datatype()),
        ("schema", server.schema()),
        ("file", server.file()),
        ("line", line.as_deref()),
        ("where_", server.where_()),
    ];
    let owned = |(key, value): (&str, Option<&str>)| value.map(|value| (key.to_owned(), value.to_owned()));
    named.into_iter().filter_map(owned).collect()
}

/// An error and its causes in the layout that guests know from Spin: the causes below it, numbered if there are several.
pub(super) fn with_causes(error: &dyn StdError) -> String {
    let mut causes = Vec::new();
    let mut next = error.source();
    while let Some(cause) = next {
        causes.push(cause.to_string());
        next = cause.source();
    }
    let mut text = error.to_string();
    match &causes[..] {
        [] => {}
        [cause] => {
            let _ = write!(text, "\n\nCaused by:\n    {cause}");
        }
        causes => {
            text.push_str("\n\nCaused by:");
            for (number, cause) in causes.iter().enumerate() {
                let _ = write!(text, "\n{number:>5}: {cause}");
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outer")]
    struct Outer(#[source] Inner);

    #[derive(Debug, thiserror::Error)]
    #[error("inner")]
    struct Inner(#[source] io::Error);

    #[test]
    fn several_causes_are_numbered_and_one_is_not() {
        let refused = || io::Error::other("refused");
        assert_eq!(with_causes(&refused()), "refused");
        assert_eq!(with_causes(&Inner(refused())), "inner\n\nCaused by:\n    refused");
        assert_eq!(
            with_causes(&Outer(Inner(refused()))),
            "outer\n\nCaused by:\n    0: inner\n    1: refused"
        );
    }
}
