//! Large language models (`docs/contract/host-interfaces.md §5.4`): this host computes none itself, it asks a server.

mod backends;
mod default_api;
mod guest;
mod open_ai;
mod server;

use std::sync::Arc;

use tokio::sync::Mutex;
use wasmtime::component::{HasSelf, Linker};

pub(super) use self::backends::LlmBackends;
use self::bindings::fermyon::spin2_0_0::llm::{
    EmbeddingsResult, Error, InferencingParams, InferencingResult,
};
use self::server::Server;
use super::context::ComponentContext;
use super::error::InterfaceError;
use crate::runtime::HostState;
use crate::runtime_config::{ApiType, LlmCompute};
use crate::telemetry;

mod bindings {
    wasmtime::component::bindgen!({
        path: "wit/host",
        world: "llm",
        imports: { default: async | trappable },
    });
}

/// What a guest is told without a server: the text is Spin's.
const NOT_SUPPORTED: &str = "Local LLM operations are not supported in this version of Spin.";
/// What is asked for when the guest says nothing.
const DEFAULT_PARAMS: InferencingParams = InferencingParams {
    max_tokens: 100,
    repeat_penalty: 1.1,
    repeat_penalty_last_n_token_count: 64,
    temperature: 0.8,
    top_k: 40,
    top_p: 0.9,
};

/// The models of one component, and who computes them.
pub(super) struct Llm {
    app: Arc<str>,
    models: Vec<String>,
    server: Option<(ApiType, Server)>,
    /// Held during a call: those of one app come one after the other.
    turn: Arc<Mutex<()>>,
}

impl Llm {
    /// Errors for a server that can't be spoken to as it is configured; nothing is asked of it yet.
    pub(super) fn of(context: &ComponentContext<'_>, backends: &LlmBackends) -> Result<Self, InterfaceError> {
        let server = match &context.config.llm_compute {
            None | Some(LlmCompute::Spin) => None,
            Some(LlmCompute::RemoteHttp {
                url,
                auth_token,
                api_type,
            }) => {
                let server = Server::new(backends, url, auth_token).map_err(|error| {
                    InterfaceError::new(&context.component.id, "its `llm_compute` can't be used")
                        .with_source(error)
                })?;
                Some((*api_type, server))
            }
        };
        Ok(Self {
            app: context.app.clone(),
            models: context.metadata.ai_models.clone(),
            server,
            turn: backends.turn(context.app),
        })
    }

    async fn infer(
        &self,
        model: String,
        prompt: String,
        params: Option<InferencingParams>,
    ) -> Result<InferencingResult, Error> {
        let (api, server) = self.server_for(&model)?;
        telemetry::inferred(&self.app, &model);
        let params = params.unwrap_or(DEFAULT_PARAMS);
        let _turn = self.turn.lock().await;
        match api {
            ApiType::Default => default_api::infer(server, &model, &prompt, &params).await,
            ApiType::OpenAi => open_ai::infer(server, &model, &prompt, &params).await,
        }
    }

    async fn generate_embeddings(&self, model: String, text: Vec<String>) -> Result<EmbeddingsResult, Error> {
        let (api, server) = self.server_for(&model)?;
        let _turn = self.turn.lock().await;
        match api {
            ApiType::Default => default_api::embed(server, &model, &text).await,
            ApiType::OpenAi => open_ai::embed(server, &model, &text).await,
        }
    }

    fn server_for(&self, model: &str) -> Result<(ApiType, &Server), Error> {
        if !self.models.iter().any(|allowed| allowed == model) {
            return Err(Error::InvalidInput(format!(
                "The component does not have access to use '{model}'. To give the component access, add '{model}' \
                 to the 'ai_models' key for the component in your spin.toml manifest"
            )));
        }
        match &self.server {
            Some((api, server)) => Ok((*api, server)),
            None => Err(Error::RuntimeError(NOT_SUPPORTED.into())),
        }
    }
}

pub(super) fn add_to_linker(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    bindings::fermyon::spin::llm::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)?;
    bindings::fermyon::spin2_0_0::llm::add_to_linker::<_, HasSelf<HostState>>(linker, |state| state)
}

#[cfg(test)]
mod tests;
