//! Components that a component imports (`docs/contract/locked-app.md §4.4`).

use serde::Deserialize;

use super::locked::ContentRef;

/// A binary that satisfies some of a component's imports.
#[derive(Debug, Clone, Deserialize)]
pub struct Dependency {
    pub(super) source: ContentRef,
    /// The export that is used; the same name as the import without it.
    pub export: Option<String>,
    #[serde(default)]
    pub inherit: Inherit,
}

/// Which of the component's permissions the dependency has too.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub enum Inherit {
    All,
    /// By the names of capability sets; nothing when it is empty.
    Some(Vec<String>),
}

impl Default for Inherit {
    fn default() -> Self {
        Self::Some(Vec::new())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_inherited_unless_it_is_written() {
        let inherit = |json: &str| serde_json::from_str::<Dependency>(json).unwrap().inherit;
        assert_eq!(inherit(r#"{"source":{},"export":null}"#), Inherit::Some(vec![]));
        assert_eq!(
            inherit(r#"{"source":{},"export":null,"inherit":"All"}"#),
            Inherit::All
        );
        let some = Inherit::Some(vec!["variables".into()]);
        assert_eq!(inherit(r#"{"source":{},"inherit":{"Some":["variables"]}}"#), some);
    }
}
