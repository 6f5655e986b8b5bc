//! Every function of `fermyon:spin@2.0.0` and of what Spin's Rust SDK 5 has besides, in an app of that SDK. The path
//! names the interface, the body is a script: see the crate `calls`.

mod databases;
mod outbound;
mod stores;

use calls::{Misunderstood, script};
use serde_json::Value;
use spin_sdk::http::{IntoResponse, Request, Response};
use spin_sdk::http_component;

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package lepton:apis5;
            world apis {
                import fermyon:spin/key-value@2.0.0;
                import fermyon:spin/llm@2.0.0;
                import fermyon:spin/mqtt@2.0.0;
                import fermyon:spin/mysql@2.0.0;
                import fermyon:spin/postgres@2.0.0;
                import fermyon:spin/redis@2.0.0;
                import fermyon:spin/sqlite@2.0.0;
                import fermyon:spin/variables@2.0.0;
                import spin:postgres/postgres@3.0.0;
                import wasi:config/store@0.2.0-draft-2024-09-27;
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:apis5/apis",
        additional_derives: [serde::Serialize, serde::Deserialize],
        additional_derives_ignore: ["cas-error"],
        generate_all,
    });
}

type Shown = Result<Value, Misunderstood>;

#[http_component]
async fn handle(request: Request) -> impl IntoResponse {
    let interface = request.path().trim_start_matches('/').to_string();
    let body = String::from_utf8(request.into_body()).unwrap_or_default();
    match run(&interface, &body).await {
        Ok(lines) => Response::new(200, lines),
        Err(error) => Response::new(400, error.to_string()),
    }
}

async fn run(interface: &str, body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    let (mut databases, mut outbound, mut stores) =
        <(databases::Databases, outbound::Outbound, stores::Stores)>::default();
    for mut call in script(body)? {
        let call = &mut call;
        let result = match interface {
            "fermyon:spin/key-value@2.0.0" => stores.key_value(call),
            "fermyon:spin/llm@2.0.0" => outbound::llm(call),
            "fermyon:spin/mqtt@2.0.0" => outbound.mqtt(call),
            "fermyon:spin/mysql@2.0.0" => databases.mysql(call),
            "fermyon:spin/postgres@2.0.0" => databases.postgres2(call),
            "fermyon:spin/redis@2.0.0" => outbound.redis(call),
            "fermyon:spin/sqlite@2.0.0" => databases.sqlite2(call),
            "fermyon:spin/variables@2.0.0" => stores::variables(call),
            "spin:postgres/postgres@3.0.0" => databases.postgres3(call),
            "spin:postgres/postgres@4.0.0" => databases.postgres4(call),
            "spin:sqlite/sqlite@3.0.0" => databases.sqlite3(call),
            "wasi:config/store@0.2.0-draft-2024-09-27" => stores::config(call),
            "wasi:http/outgoing-handler@0.2.0" => outbound::http(call).await,
            "wasi:keyvalue@0.2.0-draft2" => stores.wasi(call),
            other => Err(Misunderstood::new(format!("no interface {other}"))),
        };
        lines += &call.line(result?);
    }
    Ok(lines)
}
