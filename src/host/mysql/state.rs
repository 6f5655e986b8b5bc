//! Statements after which a connection is not what it was, or that ask what it is.

/// Statements that begin so change data, not the connection.
const STATELESS: [&str; 16] = [
    "ALTER", "ANALYZE", "CREATE", "DELETE", "DESC", "DESCRIBE", "DROP", "EXPLAIN", "INSERT", "REPLACE",
    "SELECT", "SHOW", "TRUNCATE", "UPDATE", "VALUES", "WITH",
];
/// What a statement of these must not contain: variables, locks, temporary tables, what a statement before it left.
const STATEFUL: [&str; 7] = [
    "@",
    "FOUND_ROWS",
    "GET_LOCK",
    "LAST_INSERT_ID",
    "ROW_COUNT",
    "RELEASE_LOCK",
    "TEMPORARY",
];

/// Whether a connection can't be replaced by a new one unnoticed, before or after this statement. A doubt is a yes.
pub(super) fn has_state(statement: &str) -> bool {
    let statement = statement.trim_start_matches(|c: char| c.is_whitespace() || c == '(');
    let end = statement.find(|c: char| !c.is_ascii_alphabetic());
    let keyword = &statement[..end.unwrap_or(statement.len())];
    if !STATELESS.iter().any(|name| keyword.eq_ignore_ascii_case(name)) {
        return true;
    }
    let upper = statement.to_ascii_uppercase();
    STATEFUL.iter().any(|part| upper.contains(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_statements_have_no_state() {
        for statement in [
            "SELECT 1",
            "select * from t",
            "\n INSERT INTO t VALUES (?)",
            "(SELECT 1) UNION (SELECT 2)",
            "create table t (a int)",
        ] {
            assert!(!has_state(statement), "{statement}");
        }
    }

    #[test]
    fn transactions_variables_and_locks_are_state() {
        for statement in [
            "BEGIN",
            "start transaction",
            "SET autocommit = 0",
            "LOCK TABLES t WRITE",
            "SELECT @a := 1",
            "SELECT get_lock('x', 1)",
            "select last_insert_id()",
            "CREATE TEMPORARY TABLE t (a int)",
            "/* ? */ SELECT 1",
            "CALL p()",
            "",
        ] {
            assert!(has_state(statement), "{statement}");
        }
    }
}
