//! What a CGI program prints, as a response (`docs/contract/http-trigger.md §6.3`).

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Response, StatusCode, header};
use wasmtime_wasi_http::WasiBody;

use crate::trigger::http::executor::GuestError;
use crate::trigger::http::respond::{full, incomplete_cgi};

/// The header that is the response's status.
const STATUS: &str = "status";

/// A header block up to the first empty line, then the body as it is.
pub(super) fn parse(output: Bytes) -> Result<Response<WasiBody>, GuestError> {
    if output.is_empty() {
        return Err(GuestError::NoResponse);
    }
    let (block, body) = split(output);
    let block = std::str::from_utf8(&block)
        .map_err(|_| GuestError::BadResponse("its header block is not UTF-8 text"))?;
    let mut response = Response::new(full(body));
    let mut status = None;
    let mut sufficient = false;
    for line in block.lines() {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == STATUS {
            status = Some(parse_status(value));
            continue;
        }
        let Ok(name) = HeaderName::try_from(name) else {
            continue;
        };
        let value = HeaderValue::try_from(value)
            .map_err(|_| GuestError::BadResponse("a header has a value that is not allowed"))?;
        sufficient |= name == header::CONTENT_TYPE || name == header::LOCATION;
        // Of a repeated name the last value stays.
        response.headers_mut().insert(name, value);
    }
    if !sufficient && status.is_none() {
        return Ok(incomplete_cgi());
    }
    let moved = response.headers().contains_key(header::LOCATION);
    let implied = if moved { StatusCode::FOUND } else { StatusCode::OK };
    *response.status_mut() = status.unwrap_or(implied);
    Ok(response)
}

/// `404 Not Found` and the like.
fn parse_status(value: &str) -> StatusCode {
    let code = value.split_once(' ').map_or(value, |(code, _)| code);
    StatusCode::from_bytes(code.as_bytes()).unwrap_or(StatusCode::BAD_GATEWAY)
}

/// The header block without its carriage returns, and what follows the empty line after it. Output without an empty line
/// has no headers. A line feed at the very beginning ends nothing.
fn split(output: Bytes) -> (Vec<u8>, Bytes) {
    let mut block = Vec::new();
    for (at, byte) in output.iter().enumerate() {
        match byte {
            b'\r' => {}
            b'\n' if block.last() == Some(&b'\n') => return (block, output.slice(at + 1..)),
            byte => block.push(*byte),
        }
    }
    (Vec::new(), output)
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    async fn reply(output: &str) -> (u16, Vec<(String, String)>, String) {
        let response = parse(Bytes::copy_from_slice(output.as_bytes())).unwrap();
        let (parts, body) = response.into_parts();
        let headers = parts.headers.iter();
        let headers = headers.map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            headers.collect(),
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    fn header(name: &str, value: &str) -> Vec<(String, String)> {
        vec![(name.into(), value.into())]
    }

    #[tokio::test]
    async fn headers_then_the_body_as_it_is() {
        assert_eq!(
            reply("Content-Type:  text/plain \r\n\r\nline\r\n\r\nmore\n").await,
            (
                200,
                header("content-type", "text/plain"),
                "line\r\n\r\nmore\n".into()
            )
        );
    }

    #[tokio::test]
    async fn a_location_redirects_unless_there_is_a_status() {
        let location = header("location", "/there");
        assert_eq!(
            reply("location: /there\n\n").await,
            (302, location.clone(), String::new())
        );
        assert_eq!(
            reply("Status: 201 Created\nlocation: /there\n\n").await,
            (201, location, String::new())
        );
    }

    #[tokio::test]
    async fn a_status_is_enough_and_a_bad_one_is_the_programs_fault() {
        assert_eq!(
            reply("status: 404 Not Found\n\nno").await,
            (404, Vec::new(), "no".into())
        );
        assert_eq!(reply("status: fine\n\nx").await.0, 502);
    }

    #[tokio::test]
    async fn output_without_the_required_headers_is_an_error_with_its_text() {
        for output in ["hello\n", "x-other: 1\n\nbody", "content-type: text/plain\n"] {
            let (status, headers, body) = reply(output).await;
            assert_eq!((status, headers), (500, Vec::new()), "{output}");
            assert_eq!(
                body,
                "Exactly one of 'location' or 'content-type' must be specified"
            );
        }
    }

    #[tokio::test]
    async fn other_headers_are_copied_when_they_are_headers() {
        let (_, headers, _) =
            reply("content-type: a/b\nx-one: 1\nX-One: 2\nbad name: 3\nno colon here\n\n").await;
        assert_eq!(
            headers,
            [header("content-type", "a/b"), header("x-one", "2")].concat()
        );
    }

    #[test]
    fn what_can_not_be_sent_is_an_error() {
        for output in [b"".as_slice(), b"content-type: a\x01b\n\n", b"x: \xff\n\n"] {
            assert!(parse(Bytes::from_static(output)).is_err());
        }
    }
}
