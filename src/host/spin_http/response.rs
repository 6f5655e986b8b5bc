//! The response as a whole value.

use http::{HeaderMap, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use wasmtime_wasi_http::WasiBody;

use super::bindings::fermyon::spin::http_types as wit;
use crate::host::limits::MAX_BUFFERED;

/// Headers and body are always there, be they empty.
pub(super) async fn read(response: Response<WasiBody>) -> Result<wit::Response, wit::HttpError> {
    let (head, body) = response.into_parts();
    let body = match Limited::new(body, MAX_BUFFERED).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            let too_large = error.is::<LengthLimitError>();
            tracing::debug!(too_large, error = &*error, "a response's body can't be read");
            return Err(wit::HttpError::RuntimeError);
        }
    };
    Ok(wit::Response {
        status: head.status.as_u16(),
        headers: Some(texts(&head.headers)),
        body: Some(body.into()),
    })
}

/// What is not plain ASCII is left out.
fn texts(headers: &HeaderMap) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned())))
        .collect()
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::super::whole;
    use super::*;

    #[tokio::test]
    async fn headers_and_body_are_always_there() {
        let answer = read(Response::new(whole("".into()))).await.unwrap();
        assert_eq!(
            (answer.status, answer.headers, answer.body),
            (200, Some(vec![]), Some(vec![]))
        );
    }

    #[tokio::test]
    async fn a_header_that_is_not_ascii_is_left_out() {
        let mut response = Response::new(whole("text".into()));
        let headers = response.headers_mut();
        headers.append("a", HeaderValue::from_static("1"));
        headers.append("a", HeaderValue::from_static("2"));
        headers.append("b", HeaderValue::from_bytes("ü".as_bytes()).unwrap());
        let answer = read(response).await.unwrap();
        let pair = |value: &str| ("a".to_string(), value.to_string());
        assert_eq!(answer.headers, Some(vec![pair("1"), pair("2")]));
        assert_eq!(answer.body, Some(b"text".into()));
    }
}
