//! A guest as people write them with Spin's Rust SDKs 3, 4 and 5, which have the functions below in common: `wasi:http` 0.2.
//! What it asks of its host, by the first segment of the path:
//!
//!   /kv/KEY      counts in the default store        /sql[?TEXT]        adds a note, lists the notes
//!   /var/NAME    a variable                         /fetch?URL         the status and the body of another server
//!   any other    says hello                         /redis/KEY?SERVER  counts in that server

use spin_sdk::http::{Request, Response, send};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{http_component, redis, variables};

/// The package that this file is part of is called by its SDK's generation: `sdk3`.
const GENERATION: &str = env!("CARGO_PKG_NAME");

#[http_component]
async fn handle(request: Request) -> Response {
    let mut segments = request.path().split('/').skip(1);
    let action = segments.next().unwrap_or_default();
    let name = segments.next().unwrap_or_default();
    let answer = match action {
        "kv" => count(name),
        "sql" => notes(request.query()),
        "var" => variables::get(name).map_err(anyhow::Error::from),
        "fetch" => fetch(request.query()).await,
        "redis" => count_there(name, request.query()),
        _ => Ok(hello(&request)),
    };
    let text = answer.unwrap_or_else(|error| format!("error {error}"));
    Response::builder()
        .status(200)
        .header("content-type", "text/plain")
        .body(format!("{text}\n"))
        .build()
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

fn count(key: &str) -> anyhow::Result<String> {
    let store = Store::open_default()?;
    let before: Option<u64> = store.get_json(key)?;
    let count = before.unwrap_or_default() + 1;
    store.set_json(key, &count)?;
    let mut keys = store.get_keys()?;
    keys.sort();
    Ok(format!("{key} {count}, keys {}", keys.join(" ")))
}

fn notes(text: &str) -> anyhow::Result<String> {
    let database = Connection::open_default()?;
    database.execute(
        "CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY, text TEXT NOT NULL)",
        &[],
    )?;
    if !text.is_empty() {
        let text = Value::Text(text.into());
        database.execute("INSERT INTO notes (text) VALUES (?1)", &[text])?;
    }
    let notes = database.execute("SELECT id, text FROM notes ORDER BY id", &[])?;
    let lines = notes.rows().map(|row| {
        let (id, text) = (row.get::<i64>("id"), row.get::<&str>("text"));
        format!("{} {}", id.unwrap_or_default(), text.unwrap_or_default())
    });
    Ok(lines.collect::<Vec<_>>().join(", "))
}

async fn fetch(url: &str) -> anyhow::Result<String> {
    let response: Response = send(Request::get(url).build()).await?;
    let body = String::from_utf8_lossy(response.body());
    Ok(format!("{} {body}", response.status()))
}

fn count_there(key: &str, server: &str) -> anyhow::Result<String> {
    let count = redis::Connection::open(server)?.incr(key)?;
    Ok(format!("{key} {count}"))
}
