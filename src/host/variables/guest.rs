//! The interfaces themselves: one lookup, told in the errors of each.

use wasmtime::component::{Accessor, HasSelf};

use super::ComponentVariables;
use super::bindings::fermyon::spin::config;
use super::bindings::fermyon::spin2_0_0::variables as variables_2;
use super::bindings::spin::variables::variables as variables_3;
use super::bindings::wasi::config::store;
use super::lookup::LookupError;
use crate::runtime::HostState;

impl From<LookupError> for config::Error {
    fn from(error: LookupError) -> Self {
        let text = error.to_string();
        match error {
            LookupError::InvalidName { .. } => Self::InvalidKey(text),
            LookupError::Undefined { .. } | LookupError::Provider(_) => Self::Provider(text),
            LookupError::TooLarge => Self::Other(text),
        }
    }
}

impl From<LookupError> for variables_2::Error {
    fn from(error: LookupError) -> Self {
        let text = error.to_string();
        match error {
            LookupError::InvalidName { .. } => Self::InvalidName(text),
            LookupError::Undefined { .. } => Self::Undefined(text),
            LookupError::Provider(_) => Self::Provider(text),
            LookupError::TooLarge => Self::Other(text),
        }
    }
}

impl From<LookupError> for variables_3::Error {
    fn from(error: LookupError) -> Self {
        let text = error.to_string();
        match error {
            LookupError::InvalidName { .. } => Self::InvalidName(text),
            LookupError::Undefined { .. } => Self::Undefined(text),
            LookupError::Provider(_) => Self::Provider(text),
            LookupError::TooLarge => Self::Other(text),
        }
    }
}

impl From<LookupError> for store::Error {
    fn from(error: LookupError) -> Self {
        let text = error.to_string();
        match error {
            LookupError::Provider(_) => Self::Upstream(text),
            // Names that are not the component's have no value, which `get` says without an error.
            LookupError::InvalidName { .. } | LookupError::Undefined { .. } | LookupError::TooLarge => {
                Self::Io(text)
            }
        }
    }
}

impl config::Host for HostState {
    async fn get_config(&mut self, key: String) -> wasmtime::Result<Result<String, config::Error>> {
        let variables = self.interface::<ComponentVariables>()?;
        Ok(variables.get(&key).await.map_err(Into::into))
    }
}

impl variables_2::Host for HostState {
    async fn get(&mut self, name: String) -> wasmtime::Result<Result<String, variables_2::Error>> {
        let variables = self.interface::<ComponentVariables>()?;
        Ok(variables.get(&name).await.map_err(Into::into))
    }
}

impl variables_3::Host for HostState {}

impl<T: Send> variables_3::HostWithStore<T> for HasSelf<HostState> {
    async fn get(
        accessor: &Accessor<T, Self>,
        name: String,
    ) -> wasmtime::Result<Result<String, variables_3::Error>> {
        let variables = accessor.with(|mut state| state.get().interface::<ComponentVariables>())?;
        Ok(variables.get(&name).await.map_err(Into::into))
    }
}

impl store::Host for HostState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Result<Option<String>, store::Error>> {
        let variables = self.interface::<ComponentVariables>()?;
        Ok(match variables.get(&key).await {
            Ok(value) => Ok(Some(value)),
            Err(LookupError::InvalidName { .. } | LookupError::Undefined { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        })
    }

    async fn get_all(&mut self) -> wasmtime::Result<Result<Vec<(String, String)>, store::Error>> {
        let variables = self.interface::<ComponentVariables>()?;
        Ok(variables.all().await.map_err(Into::into))
    }
}
