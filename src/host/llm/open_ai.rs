//! The protocol of `api_type = "open_ai"`, which many servers speak.

use serde::{Deserialize, Serialize};

use super::bindings::fermyon::spin2_0_0::llm::{
    EmbeddingsResult, EmbeddingsUsage, Error, InferencingParams, InferencingResult, InferencingUsage,
};
use super::server::Server;

#[derive(Serialize)]
struct Question<'a> {
    messages: [Message<'a>; 1],
    model: &'a str,
    max_completion_tokens: u32,
    frequency_penalty: f32,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Answer<T> {
    Error { error: Failure },
    Success(T),
}

#[derive(Deserialize)]
struct Failure {
    message: String,
}

#[derive(Deserialize)]
struct Completion {
    choices: Vec<Choice>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Choice {
    message: Reply,
}

#[derive(Deserialize)]
struct Reply {
    /// `null` when the model had nothing to say.
    content: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Usage {
    prompt_tokens: u32,
    completion_tokens: u32,
}

#[derive(Serialize)]
struct Texts<'a> {
    input: &'a [String],
    model: &'a str,
}

#[derive(Deserialize)]
struct Embeddings {
    data: Vec<Embedding>,
    #[serde(default)]
    usage: Usage,
}

#[derive(Deserialize)]
struct Embedding {
    embedding: Vec<f32>,
}

impl<T> Answer<T> {
    fn ok(self) -> Result<T, Error> {
        match self {
            Self::Success(answer) => Ok(answer),
            Self::Error { error } => Err(Error::RuntimeError(error.message)),
        }
    }
}

pub(super) async fn infer(
    server: &Server,
    model: &str,
    prompt: &str,
    params: &InferencingParams,
) -> Result<InferencingResult, Error> {
    let question = Question {
        messages: [Message {
            role: "user",
            content: prompt,
        }],
        model,
        max_completion_tokens: params.max_tokens,
        frequency_penalty: params.repeat_penalty,
    };
    let answer: Answer<Completion> = server.post("/v1/chat/completions", &question).await?;
    let answer = answer.ok()?;
    let first = answer.choices.into_iter().next();
    Ok(InferencingResult {
        text: first
            .and_then(|choice| choice.message.content)
            .unwrap_or_default(),
        usage: InferencingUsage {
            prompt_token_count: answer.usage.prompt_tokens,
            generated_token_count: answer.usage.completion_tokens,
        },
    })
}

pub(super) async fn embed(server: &Server, model: &str, text: &[String]) -> Result<EmbeddingsResult, Error> {
    let answer: Answer<Embeddings> = server
        .post("/v1/embeddings", &Texts { input: text, model })
        .await?;
    let answer = answer.ok()?;
    Ok(EmbeddingsResult {
        embeddings: answer.data.into_iter().map(|one| one.embedding).collect(),
        usage: EmbeddingsUsage {
            prompt_token_count: answer.usage.prompt_tokens,
        },
    })
}
