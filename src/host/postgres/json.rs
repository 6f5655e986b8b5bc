//! JSON text for JSONB.

use serde::de::IgnoredAny;

/// Without the white space that PostgreSQL puts behind `:` and `,`. Numbers stay as they are written, digit for digit.
pub(super) fn compact(text: &[u8]) -> Vec<u8> {
    let mut compact = Vec::with_capacity(text.len());
    let mut in_string = false;
    let mut escaped = false;
    for &byte in text {
        if in_string {
            in_string = escaped || byte != b'"';
            escaped = byte == b'\\' && !escaped;
        } else if byte.is_ascii_whitespace() {
            continue;
        } else {
            in_string = byte == b'"';
        }
        compact.push(byte);
    }
    compact
}

/// An error says where `text` is no JSON.
pub(super) fn check(text: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<IgnoredAny>(text).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compacted(text: &str) -> String {
        String::from_utf8(compact(text.as_bytes())).unwrap()
    }

    #[test]
    fn only_white_space_between_tokens_goes() {
        assert_eq!(
            compacted(r#"{"a b": [1, 2.50, null], "c": {"d": " x, y: \" \\"}, "e": ""}"#),
            r#"{"a b":[1,2.50,null],"c":{"d":" x, y: \" \\"},"e":""}"#
        );
        assert_eq!(compacted(r#""plain text""#), r#""plain text""#);
    }

    #[test]
    fn a_number_of_many_digits_is_json() {
        assert!(check(b"{\"n\": 123456789012345678901234567890.10}").is_ok());
        assert!(check(b"{\"n\": }").is_err());
        assert!(check(b"").is_err());
    }
}
