//! The providers that a runtime configuration names (`docs/contract/runtime-config.md §5`).

use super::environment::Environment;
use super::provider::{Provider, Value, Values};
use super::vault::{Vault, VaultSettingError};
use crate::runtime_config::VariablesProvider;

/// Why a configured provider can't be used; nothing was asked of its server yet.
#[derive(Debug, thiserror::Error)]
#[error("variables_provider number {number} can't be used")]
pub struct ConfiguredProviderError {
    /// Its place in the configuration, from 1.
    pub number: usize,
    #[source]
    pub reason: VaultSettingError,
}

/// In the order of the configuration, which is the order in which they are asked.
pub fn configured_providers(
    configured: &[VariablesProvider],
) -> Result<Vec<Box<dyn Provider>>, ConfiguredProviderError> {
    let numbered = configured.iter().enumerate();
    numbered
        .map(|(at, provider)| {
            build(provider).map_err(|reason| ConfiguredProviderError {
                number: at + 1,
                reason,
            })
        })
        .collect()
}

fn build(provider: &VariablesProvider) -> Result<Box<dyn Provider>, VaultSettingError> {
    Ok(match provider {
        VariablesProvider::Env { prefix, dotenv_path } => {
            Box::new(Environment::new(prefix.clone(), dotenv_path.clone()))
        }
        VariablesProvider::Static { values } => {
            let literal =
                |(name, value): (&String, &super::Secret)| (name.clone(), Value::Literal(value.clone()));
            Box::new(Values::new(values.iter().map(literal).collect()))
        }
        VariablesProvider::Vault {
            url,
            token,
            mount,
            prefix,
        } => Box::new(Vault::new(url, token, mount, prefix.as_deref())?),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::variables::{Declared, Secret, Variables};

    fn fixed(value: &str) -> VariablesProvider {
        VariablesProvider::Static {
            values: [("a".to_string(), Secret::new(value))].into(),
        }
    }

    fn vault(url: &str) -> VariablesProvider {
        VariablesProvider::Vault {
            url: url.into(),
            token: Secret::new("hush"),
            mount: "secret".into(),
            prefix: None,
        }
    }

    #[tokio::test]
    async fn the_first_that_knows_a_variable_wins() {
        let empty = VariablesProvider::Static {
            values: BTreeMap::new(),
        };
        let providers = configured_providers(&[empty, fixed("first"), fixed("second")]).unwrap();
        let declared = [("a".to_string(), Declared { default: None })].into();
        let variables = Variables::new(declared, providers);
        assert_eq!(variables.get("a").await.unwrap().expose(), "first");
    }

    #[test]
    fn one_that_can_not_be_used_is_named_by_its_place() {
        let error = configured_providers(&[fixed("x"), vault("nonsense")]).unwrap_err();
        assert_eq!(error.to_string(), "variables_provider number 2 can't be used");
    }

    #[tokio::test]
    async fn a_server_that_is_down_keeps_no_app_from_starting() {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let url = format!("http://{}", socket.local_addr().unwrap());
        let providers = configured_providers(&[vault(&url)]).unwrap();
        let declared = [("a".to_string(), Declared { default: None })].into();
        let variables = Variables::new(declared, providers);
        variables.check_required().await.unwrap();
        assert!(variables.get("a").await.is_err());
    }
}
