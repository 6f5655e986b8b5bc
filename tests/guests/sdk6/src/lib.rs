//! A guest as people write them with Spin's Rust SDKs 6 and 7, which have the functions below in common and wait in them:
//! `wasi:http` is 0.3.0-rc-2026-03-15 for the former, 0.3.0 for the latter. What it asks of its host, by the first segment of the path:
//!
//!   /kv/KEY      counts in the default store        /sql[?TEXT]        adds a note, lists the notes
//!   /var/NAME    a variable                         /fetch?URL         the status and the body of another server
//!   any other    says hello                         /redis/KEY?SERVER  counts in that server

use spin_sdk::http::body::IncomingBodyExt;
use spin_sdk::http::{IntoResponse, Request, get};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{http_service, redis, variables};

/// The package that this file is part of is called by its SDK's generation: `sdk6`.
const GENERATION: &str = env!("CARGO_PKG_NAME");

#[http_service]
async fn handle(request: Request) -> impl IntoResponse {
    let mut segments = request.uri().path().split('/').skip(1);
    let action = segments.next().unwrap_or_default();
    let name = segments.next().unwrap_or_default();
    let query = request.uri().query().unwrap_or_default();
    let answer = match action {
        "kv" => count(name).await,
        "sql" => notes(query).await,
        "var" => variables::get(name).await.map_err(anyhow::Error::from),
        "fetch" => fetch(query).await,
        "redis" => count_there(name, query).await,
        _ => Ok(hello(&request)),
    };
    let text = answer.unwrap_or_else(|error| format!("error {error}"));
    format!("{text}\n")
}

fn hello(request: &Request) -> String {
    let mounted = std::fs::read_to_string("/greeting.txt").unwrap_or_else(|_| "hello".into());
    let version = std::env::var("VERSION").unwrap_or_default();
    let generation = GENERATION.trim_start_matches("sdk");
    format!(
        "{} from SDK {generation} {version}\n{} {}",
        mounted.trim(),
        request.method(),
        request.uri()
    )
}

async fn count(key: &str) -> anyhow::Result<String> {
    let store = Store::open_default().await?;
    let before: Option<u64> = store.get_json(key).await?;
    let count = before.unwrap_or_default() + 1;
    store.set_json(key, &count).await?;
    let mut keys = store.get_keys().await.collect().await?;
    keys.sort();
    Ok(format!("{key} {count}, keys {}", keys.join(" ")))
}

async fn notes(text: &str) -> anyhow::Result<String> {
    let database = Connection::open_default().await?;
    let table = "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)";
    database.execute(table, []).await?.result().await?;
    if !text.is_empty() {
        let text = Value::Text(text.into());
        let added = database.execute("INSERT INTO notes (text) VALUES (?1)", [text]);
        added.await?.result().await?;
    }
    let notes = database.execute("SELECT id, text FROM notes ORDER BY id", []);
    let rows = notes.await?.collect().await?;
    let lines = rows.iter().map(|row| {
        let (id, text) = (row.get::<i64>(0), row.get::<&str>(1));
        format!("{} {}", id.unwrap_or_default(), text.unwrap_or_default())
    });
    Ok(lines.collect::<Vec<_>>().join(", "))
}

async fn fetch(url: &str) -> anyhow::Result<String> {
    let response = get(url).await?;
    let status = response.status().as_u16();
    let body = response.into_body().bytes().await?;
    Ok(format!("{status} {}", String::from_utf8_lossy(&body)))
}

async fn count_there(key: &str, server: &str) -> anyhow::Result<String> {
    let count = redis::Connection::open(server).await?.incr(key).await?;
    Ok(format!("{key} {count}"))
}
