//! Every function of the `spin:*` interfaces of versions 3 and 4, in an app of Spin's Rust SDK 7. The path names the
//! interface, the body is a script: see the crate `calls`.

#[cfg(feature = "sql")]
mod databases;
#[cfg(feature = "otel")]
mod otel;
#[cfg(feature = "apis")]
mod outbound;
#[cfg(feature = "apis")]
mod sqlite;
#[cfg(feature = "apis")]
mod stores;

use calls::{Misunderstood, script};
use http_body_util::BodyExt;
use serde_json::Value;
use spin_sdk::http::{IntoResponse, Request, StatusCode};
use spin_sdk::{http_service, wit_bindgen};

mod bindings {
    use super::wit_bindgen;

    wit_bindgen::generate!({
        inline: "
            package lepton:apis7;
            world apis {
                import spin:key-value/key-value@3.0.0;
                import spin:mqtt/mqtt@3.0.0;
                import spin:mysql/mysql@3.0.0;
                import spin:postgres/postgres@4.2.0;
                import spin:redis/redis@3.0.0;
                import spin:sqlite/sqlite@3.1.0;
                import spin:variables/variables@3.0.0;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:apis7/apis",
        runtime_path: "crate::wit_bindgen::rt",
        additional_derives: [serde::Serialize, serde::Deserialize],
        generate_all,
    });
}

type Shown = Result<Value, Misunderstood>;

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let interface = request.uri().path().trim_start_matches('/').to_string();
    let body = request.into_body().collect().await.map(|body| body.to_bytes());
    let body = String::from_utf8(body.unwrap_or_default().to_vec()).unwrap_or_default();
    match run(&interface, &body).await {
        Ok(lines) => (StatusCode::OK, lines),
        Err(error) => (StatusCode::BAD_REQUEST, error.to_string()),
    }
}

#[cfg(feature = "apis")]
async fn run(interface: &str, body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    let (mut databases, mut outbound, mut stores) =
        <(sqlite::Databases, outbound::Outbound, stores::Stores)>::default();
    for mut call in script(body)? {
        let call = &mut call;
        let result = match interface {
            "spin:key-value/key-value@3.0.0" => stores.key_value(call).await,
            "spin:mqtt/mqtt@3.0.0" => outbound.mqtt(call).await,
            "spin:redis/redis@3.0.0" => outbound.redis(call).await,
            "spin:sqlite/sqlite@3.1.0" => databases.sqlite(call).await,
            "spin:variables/variables@3.0.0" => stores::variables(call).await,
            "wasi:http/client@0.3.0" => outbound::http(call).await,
            other => Err(Misunderstood::new(format!("no interface {other}"))),
        };
        lines += &call.line(result?);
    }
    Ok(lines)
}

#[cfg(feature = "sql")]
async fn run(interface: &str, body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    let mut databases = databases::Databases::default();
    for mut call in script(body)? {
        let call = &mut call;
        let result = match interface {
            "spin:mysql/mysql@3.0.0" => databases.mysql(call).await,
            "spin:postgres/postgres@4.2.0" => databases.postgres(call).await,
            other => Err(Misunderstood::new(format!("no interface {other}"))),
        };
        lines += &call.line(result?);
    }
    Ok(lines)
}

#[cfg(feature = "otel")]
async fn run(_: &str, body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    for mut call in script(body)? {
        let result = otel::call(&mut call)?;
        lines += &call.line(result);
    }
    Ok(lines)
}

/// Dropping says nothing.
#[cfg(not(feature = "otel"))]
fn drop_it<T>(resource: T) -> Value {
    drop(resource);
    Value::Null
}

/// No order of keys and members is promised.
#[cfg(feature = "apis")]
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

/// Columns and rows as they would be without streams, which are read to their end: an error there is `late`.
#[cfg(not(feature = "otel"))]
macro_rules! streamed {
    ($started:expr) => {
        match $started {
            Ok((columns, rows, done)) => {
                let rows = rows.collect().await;
                match done.await {
                    Ok(()) => serde_json::json!({"ok": {"columns": calls::show(&columns), "rows": calls::show(&rows)}}),
                    Err(error) => serde_json::json!({"late": {"columns": calls::show(&columns), "rows": calls::show(&rows), "err": calls::show(&error)}}),
                }
            }
            Err(error) => serde_json::json!({"err": calls::show(&error)}),
        }
    };
}

#[cfg(not(feature = "otel"))]
use streamed;
