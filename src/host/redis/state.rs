//! Commands after which a connection is not what it was.

/// Commands that leave something in the connection they are sent over: a database, a transaction, a user, a way to
/// answer.
const STATEFUL: [&str; 18] = [
    "ASKING",
    "AUTH",
    "CLIENT",
    "DISCARD",
    "EXEC",
    "HELLO",
    "MONITOR",
    "MULTI",
    "PSYNC",
    "QUIT",
    "READONLY",
    "READWRITE",
    "REPLCONF",
    "RESET",
    "SCRIPT",
    "SELECT",
    "SYNC",
    "WATCH",
];

/// Whether a connection that sent it is unfit for anybody else, and can't be replaced by a new one unnoticed.
pub(super) fn leaves_state(command: &str) -> bool {
    let subscription = command.to_ascii_uppercase().ends_with("SUBSCRIBE");
    subscription || STATEFUL.iter().any(|name| command.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_known_in_any_case() {
        for command in ["select", "Multi", "SUBSCRIBE", "sunsubscribe", "client"] {
            assert!(leaves_state(command), "{command}");
        }
        for command in ["GET", "set", "BLPOP", "EVAL", "SELECT 1", ""] {
            assert!(!leaves_state(command), "{command}");
        }
    }
}
