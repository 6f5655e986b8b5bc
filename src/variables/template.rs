//! Text with `{{ name }}` in it: no nesting, no functions, no escapes.

use super::name::{NameError, check_name};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A parsed template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
    Text(String),
    Variable(String),
}

/// What is wrong with a template's text.
#[derive(Debug, thiserror::Error)]
pub enum TemplateError {
    #[error("`{0}`: a `{{{{` has no `}}}}`")]
    Unclosed(String),
    #[error("`{text}`: `{name}` is no variable's name")]
    Name {
        text: String,
        name: String,
        source: NameError,
    },
}

impl Template {
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once(OPEN) {
            let (name, after) = after
                .split_once(CLOSE)
                .ok_or_else(|| TemplateError::Unclosed(text.into()))?;
            let name = name.trim();
            let error = |source| TemplateError::Name {
                text: text.into(),
                name: name.into(),
                source,
            };
            check_name(name).map_err(error)?;
            if !before.is_empty() {
                parts.push(Part::Text(before.into()));
            }
            parts.push(Part::Variable(name.into()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.into()));
        }
        Ok(Self { parts })
    }

    pub(super) fn parts(&self) -> &[Part] {
        &self.parts
    }

    /// The variables that it names.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Variable(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    /// The text, when it names no variable.
    pub fn literal(&self) -> Option<&str> {
        match &*self.parts {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_variables_alternate() {
        let template = Template::parse("a{{ b }}{{c}}d").unwrap();
        let text = |text: &str| Part::Text(text.into());
        let variable = |name: &str| Part::Variable(name.into());
        assert_eq!(
            template.parts,
            [text("a"), variable("b"), variable("c"), text("d")]
        );
    }

    #[test]
    fn text_alone_is_literal() {
        assert_eq!(Template::parse("a } {").unwrap().literal(), Some("a } {"));
        assert_eq!(Template::parse("").unwrap().literal(), Some(""));
        assert_eq!(Template::parse("{{ a }}").unwrap().literal(), None);
    }

    #[test]
    fn an_open_brace_needs_its_partner_and_a_name() {
        assert!(matches!(
            Template::parse("a {{ b"),
            Err(TemplateError::Unclosed(_))
        ));
        assert!(matches!(
            Template::parse("{{ {{ a }} }}"),
            Err(TemplateError::Name { .. })
        ));
        assert!(matches!(
            Template::parse("{{ A }}"),
            Err(TemplateError::Name { .. })
        ));
    }
}
