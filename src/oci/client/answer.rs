//! A registry's answer: its body within a limit, and what an error answer means.

use std::time::{Duration, SystemTime};

use reqwest::Response;
use reqwest::header::RETRY_AFTER;
use serde::Deserialize;

use super::super::error::OciError;
use super::transport::failed;

/// Bytes of an error answer that are looked at.
const ERROR_BODY: u64 = 64 * 1024;
/// Characters of a registry's own words that are repeated.
const DETAIL_CHARS: usize = 300;

/// The distribution specification's error body.
#[derive(Deserialize)]
struct ErrorBody {
    #[serde(default)]
    errors: Vec<ErrorEntry>,
    /// Token services use this one.
    details: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// The whole body, if it has at most `limit` bytes; `what` names it.
pub(super) async fn body(
    host: &str,
    response: &mut Response,
    limit: u64,
    what: &str,
) -> Result<Vec<u8>, OciError> {
    let too_large = || OciError::TooLarge {
        what: what.to_owned(),
        limit,
        unit: "bytes",
    };
    if response.content_length().is_some_and(|length| length > limit) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|e| failed(host, e))? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// What an error answer to the request for `what` means; 401 and 403 are not asked of it.
pub(super) async fn error(host: &str, what: &str, response: &mut Response) -> OciError {
    let status = response.status().as_u16();
    let retry_after = retry_after(response);
    let detail = detail(response).await;
    let (host, what) = (host.to_owned(), what.to_owned());
    match status {
        404 => OciError::NotFound {
            what,
            place: format!("registry {host}"),
            detail,
        },
        408 | 429 | 500..=599 => OciError::Busy {
            host,
            what,
            status,
            retry_after,
            detail,
        },
        _ => OciError::Unexpected {
            host,
            what,
            status,
            detail,
        },
    }
}

/// The registry's own words as `: words`, or nothing.
pub(super) async fn detail(response: &mut Response) -> String {
    let Ok(body) = body("", response, ERROR_BODY, "").await else {
        return String::new();
    };
    let words = match serde_json::from_slice::<ErrorBody>(&body) {
        Ok(ErrorBody {
            errors,
            details,
            message,
        }) => {
            let said = errors
                .into_iter()
                .next()
                .map(|e| if e.message.is_empty() { e.code } else { e.message });
            said.or(details).or(message).unwrap_or_default()
        }
        // A proxy's page of HTML helps nobody in a log line.
        Err(_) => String::from_utf8(body)
            .ok()
            .filter(|text| !text.contains('<'))
            .unwrap_or_default(),
    };
    let words: String = words
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .chars()
        .take(DETAIL_CHARS)
        .collect();
    if words.is_empty() {
        String::new()
    } else {
        format!(": {words}")
    }
}

/// `Retry-After` in either of its forms.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let when = httpdate::parse_http_date(value).ok()?;
    Some(when.duration_since(SystemTime::now()).unwrap_or_default())
}
