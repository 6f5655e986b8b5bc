//! The protocol of `api_type = "default"`.

use serde::{Deserialize, Serialize};

use super::bindings::fermyon::spin2_0_0::llm::{
    EmbeddingsResult, EmbeddingsUsage, Error, InferencingParams, InferencingResult, InferencingUsage,
};
use super::server::Server;

#[derive(Serialize)]
struct Question<'a> {
    model: &'a str,
    prompt: &'a str,
    options: Options,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Options {
    max_tokens: u32,
    repeat_penalty: f32,
    #[serde(rename = "repeatPenaltyLastNTokenCount")]
    repeat_penalty_last_n_token_count: u32,
    temperature: f32,
    top_k: u32,
    top_p: f32,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
    usage: Usage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Usage {
    prompt_token_count: u32,
    generated_token_count: u32,
}

#[derive(Serialize)]
struct Texts<'a> {
    model: &'a str,
    input: &'a [String],
}

#[derive(Deserialize)]
struct Embeddings {
    embeddings: Vec<Vec<f32>>,
    usage: TextsUsage,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TextsUsage {
    prompt_token_count: u32,
}

pub(super) async fn infer(
    server: &Server,
    model: &str,
    prompt: &str,
    params: &InferencingParams,
) -> Result<InferencingResult, Error> {
    let question = Question {
        model,
        prompt,
        options: Options {
            max_tokens: params.max_tokens,
            repeat_penalty: params.repeat_penalty,
            repeat_penalty_last_n_token_count: params.repeat_penalty_last_n_token_count,
            temperature: params.temperature,
            top_k: params.top_k,
            top_p: params.top_p,
        },
    };
    let answer: Answer = server.post("/infer", &question).await?;
    Ok(InferencingResult {
        text: answer.text,
        usage: InferencingUsage {
            prompt_token_count: answer.usage.prompt_token_count,
            generated_token_count: answer.usage.generated_token_count,
        },
    })
}

pub(super) async fn embed(server: &Server, model: &str, text: &[String]) -> Result<EmbeddingsResult, Error> {
    let answer: Embeddings = server.post("/embed", &Texts { model, input: text }).await?;
    Ok(EmbeddingsResult {
        embeddings: answer.embeddings,
        usage: EmbeddingsUsage {
            prompt_token_count: answer.usage.prompt_token_count,
        },
    })
}
