//! What the host told the app about one request, as JSON.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use wasip2::http::types::{IncomingRequest, Method, Scheme};

use crate::json;

pub fn describe(request: &IncomingRequest) -> String {
    let (spin, headers): (Vec<_>, Vec<_>) = request
        .headers()
        .entries()
        .into_iter()
        .partition(|(name, _)| name.starts_with("spin-"));
    let mut files = Vec::new();
    list(Path::new("/"), &mut files);
    files.sort();
    let members = [
        ("version", json::string(&env::var("VERSION").unwrap_or_default())),
        ("method", json::string(method(&request.method()))),
        (
            "path",
            json::string(&request.path_with_query().unwrap_or_default()),
        ),
        (
            "scheme",
            json::string(request.scheme().as_ref().map_or("", scheme)),
        ),
        (
            "authority",
            json::string(&request.authority().unwrap_or_default()),
        ),
        ("spin", pairs(&spin)),
        ("headers", pairs(&headers)),
        (
            "environment",
            json::array(env::vars().map(|(name, value)| pair(&name, &value))),
        ),
        (
            "arguments",
            json::array(env::args().map(|argument| json::string(&argument))),
        ),
        (
            "files",
            json::array(
                files
                    .into_iter()
                    .map(|(path, size)| pair(&path, &format!("{size} bytes"))),
            ),
        ),
        ("time", json::string(&now())),
    ];
    let lines: Vec<_> = members
        .into_iter()
        .map(|(name, value)| format!("  {}: {value}", json::string(name)))
        .collect();
    format!("{{\n{}\n}}\n", lines.join(",\n"))
}

/// A header may appear twice: a list of objects, rather than one object.
fn pairs(headers: &[(String, Vec<u8>)]) -> String {
    json::array(
        headers
            .iter()
            .map(|(name, value)| pair(name, &String::from_utf8_lossy(value))),
    )
}

fn pair(name: &str, value: &str) -> String {
    json::object([("name", json::string(name)), ("value", json::string(value))])
}

fn method(method: &Method) -> &str {
    match method {
        Method::Get => "GET",
        Method::Head => "HEAD",
        Method::Post => "POST",
        Method::Put => "PUT",
        Method::Delete => "DELETE",
        Method::Connect => "CONNECT",
        Method::Options => "OPTIONS",
        Method::Trace => "TRACE",
        Method::Patch => "PATCH",
        Method::Other(name) => name,
    }
}

fn scheme(scheme: &Scheme) -> &str {
    match scheme {
        Scheme::Http => "http",
        Scheme::Https => "https",
        Scheme::Other(name) => name,
    }
}

/// Every mounted file with its size.
fn list(directory: &Path, found: &mut Vec<(String, u64)>) {
    let Ok(entries) = fs::read_dir(directory) else {
        return;
    };
    for entry in entries.flatten() {
        let path = entry.path();
        match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => list(&path, found),
            Ok(metadata) => found.push((path.to_string_lossy().into_owned(), metadata.len())),
            Err(_) => {}
        }
    }
}

/// The host's clock, in UTC.
fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let (year, month, day) = date(days as i64);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!(
        "{year}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{:03}Z",
        since.subsec_millis()
    )
}

/// The Gregorian date of a day since 1970-01-01, counting years from March so that the leap day comes last.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    (
        era * 400 + year_of_era + i64::from(month <= 2),
        month,
        day_of_year - (153 * from_march + 2) / 5 + 1,
    )
}
