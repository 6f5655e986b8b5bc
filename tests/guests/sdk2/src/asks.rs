//! What an app asks of its host's stores and of other servers:
//!
//!   /kv/KEY      counts in the default store        /sql[?TEXT]        adds a note, lists the notes
//!   /var/NAME    a variable                         /fetch?URL         the status and the body of another server
//!                                                   /redis/KEY?SERVER  counts in that server

use spin_sdk::http::{send, Request, Response};
use spin_sdk::key_value::Store;
use spin_sdk::sqlite::{Connection, Value};
use spin_sdk::{redis, variables};

pub fn count(key: &str) -> anyhow::Result<String> {
    let store = Store::open_default()?;
    let before: Option<u64> = store.get_json(key)?;
    let count = before.unwrap_or_default() + 1;
    store.set_json(key, &count)?;
    let mut keys = store.get_keys()?;
    keys.sort();
    Ok(format!("{key} {count}, keys {}", keys.join(" ")))
}

pub fn notes(text: &str) -> anyhow::Result<String> {
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

pub fn variable(name: &str) -> anyhow::Result<String> {
    Ok(variables::get(name)?)
}

pub async fn fetch(url: &str) -> anyhow::Result<String> {
    let response: Response = send(Request::get(url).build()).await?;
    let body = String::from_utf8_lossy(response.body());
    Ok(format!("{} {body}", response.status()))
}

pub fn count_there(key: &str, server: &str) -> anyhow::Result<String> {
    let count = redis::Connection::open(server)?.incr(key)?;
    Ok(format!("{key} {count}"))
}
