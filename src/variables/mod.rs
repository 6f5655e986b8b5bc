//! Templates and the values behind them (`docs/contract/locked-app.md §5`, `docs/contract/runtime-config.md §5`).

mod configured;
mod environment;
mod name;
mod provider;
mod template;
mod vault;

use std::collections::BTreeMap;

pub use configured::{ConfiguredProviderError, configured_providers};
pub use environment::Environment;
pub use name::{NameError, check_name};
pub use provider::{Provider, ProviderError, Secret, Value, Values};
pub use template::{Template, TemplateError};
pub use vault::VaultSettingError;

/// The variables of one app: the values that its operator gave, in order, then what the app says itself.
#[derive(Debug)]
pub struct Variables {
    declared: BTreeMap<String, Declared>,
    providers: Vec<Box<dyn Provider>>,
}

/// A variable as the app declares it; required when it has no default.
#[derive(Debug, Clone)]
pub struct Declared {
    pub default: Option<Secret>,
}

/// Why a variable or a template has no value.
#[derive(Debug, thiserror::Error)]
pub enum VariableError {
    #[error("the app has no variable `{0}`")]
    Undeclared(String),
    #[error("no provider resolved required variable `{0}`")]
    Missing(String),
    #[error("the variable `{name}` can't be read")]
    Provider { name: String, source: ProviderError },
    #[error(
        "the app needs a value for {}: give it in the app file, as \"variables\": {{\"{}\": \"…\"}}",
        .0.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "), .0[0]
    )]
    Required(Vec<String>),
}

impl Variables {
    /// `providers` are asked in order; the first that knows a variable wins.
    pub fn new(declared: BTreeMap<String, Declared>, providers: Vec<Box<dyn Provider>>) -> Self {
        Self { declared, providers }
    }

    /// Fails when a required variable has no value, naming all such. A provider whose server does not answer now is no
    /// reason: calls fail as long as it does not, and recover by themselves.
    pub async fn check_required(&self) -> Result<(), VariableError> {
        let mut missing = Vec::new();
        for name in self.declared.keys() {
            match self.get(name).await {
                Ok(_) => {}
                Err(VariableError::Missing(name)) => missing.push(name),
                Err(VariableError::Provider { name, source }) if source.may_pass() => tracing::warn!(
                    variable = name,
                    error = &source as &dyn std::error::Error,
                    "a required variable can't be checked, as its provider does not answer"
                ),
                Err(error) => return Err(error),
            }
        }
        if missing.is_empty() {
            Ok(())
        } else {
            Err(VariableError::Required(missing))
        }
    }

    /// The value of one variable now: it is asked for anew at each call, so that a changed secret is seen.
    pub async fn get(&self, name: &str) -> Result<Secret, VariableError> {
        let declared = self
            .declared
            .get(name)
            .ok_or_else(|| VariableError::Undeclared(name.into()))?;
        for provider in &self.providers {
            let value = provider.get(name).await;
            let value = value.map_err(|source| VariableError::Provider {
                name: name.into(),
                source,
            })?;
            if let Some(value) = value {
                return Ok(value);
            }
        }
        declared
            .default
            .clone()
            .ok_or_else(|| VariableError::Missing(name.into()))
    }

    /// The text of a template, with the values of now.
    pub async fn resolve(&self, template: &Template) -> Result<String, VariableError> {
        let mut text = String::new();
        for part in template.parts() {
            match part {
                template::Part::Text(literal) => text.push_str(literal),
                template::Part::Variable(name) => text.push_str(self.get(name).await?.expose()),
            }
        }
        Ok(text)
    }

    /// Fails for a template that names a variable which the app does not declare.
    pub fn check_template(&self, template: &Template) -> Result<(), VariableError> {
        match template
            .variables()
            .find(|name| !self.declared.contains_key(*name))
        {
            None => Ok(()),
            Some(name) => Err(VariableError::Undeclared(name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(values: &[(&str, &str)]) -> Variables {
        let declared = [("plain", Some("default")), ("required", None)];
        let declared = declared.map(|(name, default)| {
            (
                name.to_string(),
                Declared {
                    default: default.map(|text| Secret::from(text.to_string())),
                },
            )
        });
        let values = values
            .iter()
            .map(|(name, value)| (name.to_string(), Value::Literal(Secret::from(value.to_string()))));
        Variables::new(declared.into(), vec![Box::new(Values::new(values.collect()))])
    }

    #[tokio::test]
    async fn a_given_value_wins_over_the_default() {
        let template = Template::parse("<{{ plain }}>").unwrap();
        assert_eq!(variables(&[]).resolve(&template).await.unwrap(), "<default>");
        assert_eq!(
            variables(&[("plain", "given")]).resolve(&template).await.unwrap(),
            "<given>"
        );
    }

    #[tokio::test]
    async fn a_required_variable_without_a_value_is_named_with_the_remedy() {
        let error = variables(&[]).check_required().await.unwrap_err().to_string();
        assert!(
            error.contains("`required`") && error.contains(r#""variables": {"required""#),
            "{error}"
        );
        variables(&[("required", "x")]).check_required().await.unwrap();
    }

    #[tokio::test]
    async fn a_file_is_read_at_each_call_without_its_last_line_end() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let values = Values::new([("plain".to_string(), Value::File(file.path().into()))].into());
        let declared = [("plain".to_string(), Declared { default: None })].into();
        let variables = Variables::new(declared, vec![Box::new(values)]);
        for secret in ["first", "second"] {
            std::fs::write(file.path(), format!("{secret}\n")).unwrap();
            assert_eq!(variables.get("plain").await.unwrap().expose(), secret);
        }
        drop(file);
        let error = variables.get("plain").await.unwrap_err();
        assert!(error.to_string().contains("`plain`"), "{error}");
    }

    #[test]
    fn a_template_over_an_unknown_variable_is_refused() {
        let error = variables(&[])
            .check_template(&Template::parse("{{ other }}").unwrap())
            .unwrap_err();
        assert!(error.to_string().contains("`other`"));
    }

    #[test]
    fn values_are_never_shown() {
        let shown = format!("{:?}", variables(&[("plain", "hush")]));
        assert!(!shown.contains("hush") && !shown.contains("default\""), "{shown}");
    }
}
