//! What a variable may be called (`docs/contract/host-interfaces.md §5.2`).

/// The first rule that a name breaks.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("must not be empty")]
    Empty,
    #[error(
        "invalid character {0:?}. Variable names may contain only lower-case letters, numbers, and underscores."
    )]
    Character(char),
    #[error("must start with a lowercase ASCII letter")]
    Start,
    #[error("must end with a lowercase ASCII letter or digit")]
    End,
    #[error("must not contain multiple consecutive underscores")]
    Underscores,
}

/// Checks a name by the rules, in their order.
pub fn check_name(name: &str) -> Result<(), NameError> {
    let allowed = |c: &char| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_';
    if name.is_empty() {
        Err(NameError::Empty)
    } else if let Some(other) = name.chars().find(|c| !allowed(c)) {
        Err(NameError::Character(other))
    } else if !name.starts_with(|c: char| c.is_ascii_lowercase()) {
        Err(NameError::Start)
    } else if name.ends_with('_') {
        Err(NameError::End)
    } else if name.contains("__") {
        Err(NameError::Underscores)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_broken_rule_is_told() {
        assert_eq!(check_name("a_b2"), Ok(()));
        assert_eq!(check_name(""), Err(NameError::Empty));
        assert_eq!(check_name("_U"), Err(NameError::Character('U')));
        assert_eq!(check_name("1a"), Err(NameError::Start));
        assert_eq!(check_name("a_"), Err(NameError::End));
        assert_eq!(check_name("a__b"), Err(NameError::Underscores));
    }
}
