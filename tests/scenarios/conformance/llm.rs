//! docs/contract/host-interfaces.md §5.4, against a double of the remote protocol.

use serde_json::{Value, json};

use super::apps::DOWN;
use super::case::{Section, call, err, ok, section};

const REMOTE: &str = "remote HTTP (a double)";

pub fn sections() -> Vec<Section> {
    let mut sections = Vec::new();
    let two = "fermyon:spin/llm@2.0.0";
    for (interface, app, path) in [
        ("fermyon:spin/llm", "apis1", "llm"),
        ("fermyon:spin/llm", "apis1-core", "llm"),
        (two, "apis5", two),
    ] {
        let parameters = json!({
            "max-tokens": 7, "repeat-penalty": 1.5, "repeat-penalty-last-n-token-count": 8, "temperature": 0.25,
            "top-k": 9, "top-p": 0.5,
        });
        let calls = vec![
            call(
                "infer",
                json!(["llama2-chat", "say", null]),
                inferred("llama2-chat say 100 1.1 64 0.8 40 0.9"),
            ),
            call(
                "infer",
                json!(["llama2-chat", "say", parameters]),
                inferred("llama2-chat say 7 1.5 8 0.25 9 0.5"),
            ),
            call(
                "infer",
                json!(["other", "say", null]),
                err(json!({"invalid-input": denied("other")})),
            )
            .when("the model is not granted"),
            call(
                "generate-embeddings",
                json!(["all-minilm-l6-v2", ["a", "b"]]),
                ok(json!({"embeddings": [[0.5, 1.0], [0.5, 1.0]], "usage": {"prompt-token-count": 2}})),
            ),
            call(
                "generate-embeddings",
                json!(["other", ["a"]]),
                err(json!({"invalid-input": denied("other")})),
            )
            .when("the model is not granted"),
        ];
        sections.push(section(interface, REMOTE, app, path, calls));
    }
    let down = vec![
        call(
            "infer",
            json!(["llama2-chat", "say", null]),
            err(json!({"runtime-error": "POST /infer request error: error sending request: client error (Connect): tcp connect error: Connection refused (os error 111)"})),
        )
        .when("the server is down"),
    ];
    sections.push(section(two, REMOTE, DOWN, two, down));
    sections
}

fn inferred(text: &str) -> Value {
    ok(json!({"text": text, "usage": {"prompt-token-count": 3, "generated-token-count": 9}}))
}

fn denied(model: &str) -> String {
    format!(
        "The component does not have access to use '{model}'. To give the component access, add '{model}' to the \
         'ai_models' key for the component in your spin.toml manifest"
    )
}
