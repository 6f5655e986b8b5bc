//! The two interfaces, which differ in their name alone.

use super::Llm;
use super::bindings::fermyon::spin::llm as unversioned;
use super::bindings::fermyon::spin2_0_0::llm as versioned;
use crate::runtime::HostState;

impl versioned::Host for HostState {
    async fn infer(
        &mut self,
        model: String,
        prompt: String,
        params: Option<versioned::InferencingParams>,
    ) -> wasmtime::Result<Result<versioned::InferencingResult, versioned::Error>> {
        let llm = self.interface::<Llm>()?;
        Ok(llm.infer(model, prompt, params).await)
    }

    async fn generate_embeddings(
        &mut self,
        model: String,
        text: Vec<String>,
    ) -> wasmtime::Result<Result<versioned::EmbeddingsResult, versioned::Error>> {
        let llm = self.interface::<Llm>()?;
        Ok(llm.generate_embeddings(model, text).await)
    }
}

impl unversioned::Host for HostState {
    async fn infer(
        &mut self,
        model: String,
        prompt: String,
        params: Option<unversioned::InferencingParams>,
    ) -> wasmtime::Result<Result<unversioned::InferencingResult, unversioned::Error>> {
        let params = params.map(|params| versioned::InferencingParams {
            max_tokens: params.max_tokens,
            repeat_penalty: params.repeat_penalty,
            repeat_penalty_last_n_token_count: params.repeat_penalty_last_n_token_count,
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
        });
        let result = self.interface::<Llm>()?.infer(model, prompt, params).await;
        Ok(result
            .map(|result| unversioned::InferencingResult {
                text: result.text,
                usage: unversioned::InferencingUsage {
                    prompt_token_count: result.usage.prompt_token_count,
                    generated_token_count: result.usage.generated_token_count,
                },
            })
            .map_err(Into::into))
    }

    async fn generate_embeddings(
        &mut self,
        model: String,
        text: Vec<String>,
    ) -> wasmtime::Result<Result<unversioned::EmbeddingsResult, unversioned::Error>> {
        let llm = self.interface::<Llm>()?;
        let result = llm.generate_embeddings(model, text).await;
        Ok(result
            .map(|result| unversioned::EmbeddingsResult {
                embeddings: result.embeddings,
                usage: unversioned::EmbeddingsUsage {
                    prompt_token_count: result.usage.prompt_token_count,
                },
            })
            .map_err(Into::into))
    }
}

impl From<versioned::Error> for unversioned::Error {
    fn from(error: versioned::Error) -> Self {
        match error {
            versioned::Error::ModelNotSupported => Self::ModelNotSupported,
            versioned::Error::RuntimeError(text) => Self::RuntimeError(text),
            versioned::Error::InvalidInput(text) => Self::InvalidInput(text),
        }
    }
}
