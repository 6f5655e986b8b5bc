//! Responses of HTTP/1.1, taken apart as soon as all of one has arrived.

use std::io;

/// Headers that a response may have.
const MAX_HEADERS: usize = 32;

pub struct Reply {
    pub status: u16,
    pub has_retry_after: bool,
    /// The server closes the connection after it.
    pub closes: bool,
    pub body: Vec<u8>,
}

impl Reply {
    pub const OK: u16 = 200;
    pub const UNAVAILABLE: u16 = 503;

    /// `None` while something is missing.
    pub fn parse(bytes: &[u8]) -> io::Result<Option<Self>> {
        let mut headers = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(head) = response.parse(bytes).map_err(broken)? else {
            return Ok(None);
        };
        let value = |name: &str| {
            let header = response
                .headers
                .iter()
                .find(|header| header.name.eq_ignore_ascii_case(name));
            header.and_then(|header| std::str::from_utf8(header.value).ok())
        };
        let rest = &bytes[head..];
        let body = match value("content-length") {
            Some(length) => {
                let length: usize = length.parse().map_err(broken)?;
                rest.get(..length).map(<[u8]>::to_vec)
            }
            None if value("transfer-encoding").is_some() => unchunk(rest)?,
            None => Some(Vec::new()),
        };
        Ok(body.map(|body| Self {
            status: response.code.unwrap_or_default(),
            has_retry_after: value("retry-after").is_some(),
            closes: value("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
            body,
        }))
    }
}

/// What chunks hold, without trailers; `None` before the last one.
fn unchunk(mut rest: &[u8]) -> io::Result<Option<Vec<u8>>> {
    const LINE_END: &[u8] = b"\r\n";
    let mut body = Vec::new();
    loop {
        let size = httparse::parse_chunk_size(rest).map_err(|_| broken("not the size of a chunk"))?;
        let httparse::Status::Complete((start, size)) = size else {
            return Ok(None);
        };
        rest = &rest[start..];
        if size == 0 {
            let ended = rest.starts_with(LINE_END) || rest.ends_with(b"\r\n\r\n");
            return Ok(ended.then_some(body));
        }
        let Some(chunk) = rest.get(..size as usize + LINE_END.len()) else {
            return Ok(None);
        };
        body.extend_from_slice(&chunk[..size as usize]);
        rest = &rest[chunk.len()..];
    }
}

fn broken(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}
