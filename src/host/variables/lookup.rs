//! One lookup, and what the guest is told when it fails: the texts are Spin's.

use super::ComponentVariables;
use crate::errors::chain;
use crate::host::limits::{MAX_BUFFERED, TOO_LARGE};
use crate::variables::{NameError, Template, VariableError, check_name};

/// Why there is no value.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum LookupError {
    #[error("{name:?}: {reason}")]
    InvalidName { name: String, reason: NameError },
    #[error("no variable for {component:?}.{name:?}")]
    Undefined { component: String, name: String },
    #[error("{0}")]
    Provider(String),
    #[error("{TOO_LARGE}")]
    TooLarge,
}

impl ComponentVariables {
    pub(super) async fn get(&self, name: &str) -> Result<String, LookupError> {
        check_name(name).map_err(|reason| LookupError::InvalidName {
            name: name.into(),
            reason,
        })?;
        let template = self.config.get(name).ok_or_else(|| LookupError::Undefined {
            component: self.component.to_string(),
            name: name.into(),
        })?;
        self.evaluate(template).await
    }

    /// Every name with its value; one that fails fails all.
    pub(super) async fn all(&self) -> Result<Vec<(String, String)>, LookupError> {
        let mut all = Vec::with_capacity(self.config.len());
        let mut bytes = 0;
        for (name, template) in &self.config {
            let value = self.evaluate(template).await?;
            bytes += name.len() + value.len();
            if bytes > MAX_BUFFERED {
                return Err(LookupError::TooLarge);
            }
            all.push((name.clone(), value));
        }
        Ok(all)
    }

    async fn evaluate(&self, template: &Template) -> Result<String, LookupError> {
        let error = match self.variables.resolve(template).await {
            Ok(text) => return Ok(text),
            Err(error) => error,
        };
        if let VariableError::Provider { name, .. } = &error {
            tracing::warn!(
                component = %self.component,
                variable = name,
                error = &error as &dyn std::error::Error,
                "a provider of variables failed"
            );
        }
        Err(LookupError::Provider(told(&error)))
    }
}

/// The whole chain of causes, as the guest has no other way to them. None of them holds a value or a credential.
fn told(error: &VariableError) -> String {
    if let VariableError::Missing(name) = error {
        return format!("no provider resolved required variable {name:?}");
    }
    chain(error)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use crate::variables::{Declared, Secret, Value, Values, Variables};

    use super::*;

    /// A component `c` over the variables `given` (a value), `needed` (none) and `broken` (a file that is not there).
    fn component(config: &[(&str, &str)]) -> ComponentVariables {
        let declared =
            ["given", "needed", "broken"].map(|name| (name.to_string(), Declared { default: None }));
        let values = [
            ("given".to_string(), Value::Literal(Secret::new("v"))),
            ("broken".to_string(), Value::File("/nonexistent/value".into())),
        ];
        let providers: Vec<Box<dyn crate::variables::Provider>> = vec![Box::new(Values::new(values.into()))];
        let config: BTreeMap<_, _> = config
            .iter()
            .map(|(name, text)| (name.to_string(), Template::parse(text).unwrap()))
            .collect();
        ComponentVariables {
            component: "c".into(),
            config,
            variables: Arc::new(Variables::new(declared.into(), providers)),
        }
    }

    async fn refused(config: &[(&str, &str)], name: &str) -> String {
        component(config).get(name).await.unwrap_err().to_string()
    }

    #[tokio::test]
    async fn a_name_means_the_components_own_template() {
        let component = component(&[("text", "<{{ given }}>"), ("plain", "p")]);
        assert_eq!(component.get("text").await.unwrap(), "<v>");
        assert_eq!(
            component.all().await.unwrap(),
            [("plain".into(), "p".into()), ("text".into(), "<v>".to_string())]
        );
    }

    #[tokio::test]
    async fn an_invalid_name_is_told_with_the_rule() {
        let cases = [
            ("", r#""": must not be empty"#),
            (
                "aUb",
                r#""aUb": invalid character 'U'. Variable names may contain only lower-case letters, numbers, and underscores."#,
            ),
            ("1a", r#""1a": must start with a lowercase ASCII letter"#),
            ("a_", r#""a_": must end with a lowercase ASCII letter or digit"#),
            (
                "a__b",
                r#""a__b": must not contain multiple consecutive underscores"#,
            ),
        ];
        for (name, text) in cases {
            assert_eq!(refused(&[], name).await, text);
        }
        let quoted = refused(&[], "a\"\n").await;
        assert!(
            quoted.starts_with(r#""a\"\n": invalid character '"'."#),
            "{quoted}"
        );
    }

    #[tokio::test]
    async fn an_app_variable_is_no_variable_of_the_component() {
        assert_eq!(refused(&[], "given").await, r#"no variable for "c"."given""#);
    }

    #[tokio::test]
    async fn a_missing_value_and_a_failing_provider_are_told_apart() {
        assert_eq!(
            refused(&[("a", "{{ needed }}")], "a").await,
            r#"no provider resolved required variable "needed""#
        );
        let broken = refused(&[("a", "{{ broken }}")], "a").await;
        assert!(
            broken.contains("`broken`") && broken.contains("No such file"),
            "{broken}"
        );
        let component = component(&[("a", "{{ broken }}"), ("b", "fine")]);
        assert!(matches!(component.all().await, Err(LookupError::Provider(_))));
    }
}
