//! A guest for each trigger besides HTTP, in both generations; the crate's feature says which. It counts every event in
//! the key-value store `default`, under a key that tells what the event brought, and prints it. The text of an event
//! may ask for more: `fail` is answered with an error, `trap` ends the guest.

#[cfg(any(feature = "redis", feature = "cron", feature = "mqtt", feature = "sqs"))]
#[path = "sync.rs"]
mod generation;
#[cfg(any(feature = "redis3", feature = "cron3", feature = "mqtt3", feature = "sqs3"))]
#[path = "async.rs"]
mod generation;

/// What an event is answered with.
enum Answer {
    Done,
    Failed,
}

/// Prints it, and does what its text asks for.
fn answer(event: &str, text: &str) -> Answer {
    println!("{event}");
    match text {
        "trap" => panic!("as the event asked for"),
        "fail" => Answer::Failed,
        _ => Answer::Done,
    }
}

/// One more than the decimal number that is stored.
fn next(stored: Option<Vec<u8>>) -> Vec<u8> {
    let count = stored
        .and_then(|count| String::from_utf8(count).ok()?.parse().ok())
        .unwrap_or(0u64);
    (count + 1).to_string().into_bytes()
}

/// The attributes of a queue's message, and its body.
#[cfg(any(feature = "sqs", feature = "sqs3"))]
fn queued(attributes: impl IntoIterator<Item = (String, Option<String>, String)>, body: &str) -> String {
    let attributes = attributes.into_iter().map(|(name, kind, value)| match kind {
        Some(kind) => format!(" {name}:{kind}={value}"),
        None => format!(" {name}={value}"),
    });
    format!("sqs{} {body}", attributes.collect::<String>())
}
