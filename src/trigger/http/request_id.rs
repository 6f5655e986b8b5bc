//! What a request is called: by the client or a proxy before us, else by us (`docs/contract/http-trigger.md §3`).

use std::cell::RefCell;
use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::{Builder, Uuid};

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of a name that is taken: more are of no use to find anything, and would be written to every log.
const LONGEST: usize = 128;
/// What such a name may hold besides letters and digits: what UUIDs, base64, trace ids and URNs are written with, and nothing
/// that means something in a log or a shell.
const PUNCTUATION: &[u8] = b"-_.:+/=@";

/// Names that are made of the random bytes of one question, which is a system call.
const NAMES_AT_ONCE: usize = 64;

/// Random bytes for names to come.
struct Random {
    bytes: [[u8; 16]; NAMES_AT_ONCE],
    /// How many are left of them.
    left: usize,
}

thread_local! {
    static RANDOM: RefCell<Random> = const { RefCell::new(Random { bytes: [[0; 16]; NAMES_AT_ONCE], left: 0 }) };
}

/// A name of a request. A cheap handle on the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RequestId(HeaderValue);

impl RequestId {
    /// The name that the headers have, if it is one that can be taken.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(REQUEST_ID).iter();
        let value = values.next().filter(|value| is_sane(value.as_bytes()))?;
        values.next().is_none().then(|| Self(value.clone()))
    }

    /// Takes that name, or makes one. The headers have it afterwards, and no other.
    pub(super) fn settle(headers: &mut HeaderMap) -> Self {
        let id = Self::of(headers).unwrap_or_else(Self::make);
        headers.insert(REQUEST_ID, id.0.clone());
        id
    }

    fn make() -> Self {
        let mut buffer = Uuid::encode_buffer();
        let id = Builder::from_random_bytes(RANDOM.with_borrow_mut(Random::next)).into_uuid();
        let text = id.hyphenated().encode_lower(&mut buffer);
        Self(HeaderValue::from_str(text).expect("digits, letters and hyphens"))
    }

    pub(super) fn value(&self) -> HeaderValue {
        self.0.clone()
    }

    pub(super) fn as_str(&self) -> &str {
        // It is ASCII.
        self.0.to_str().unwrap_or_default()
    }
}

impl Random {
    fn next(&mut self) -> [u8; 16] {
        if self.left == 0 {
            // The kernel refuses none once it has started.
            aws_lc_rs::rand::fill(self.bytes.as_flattened_mut()).expect("the system has random bytes");
            self.left = NAMES_AT_ONCE;
        }
        self.left -= 1;
        self.bytes[self.left]
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn is_sane(name: &[u8]) -> bool {
    let fits = (1..=LONGEST).contains(&name.len());
    fits && name
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || PUNCTUATION.contains(byte))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn settled(sent: &[&str]) -> (HeaderMap, RequestId) {
        let mut headers = HeaderMap::new();
        for value in sent {
            headers.append(REQUEST_ID, value.parse().unwrap());
        }
        let id = RequestId::settle(&mut headers);
        (headers, id)
    }

    #[test]
    fn a_sane_name_is_taken() {
        for name in [
            "a",
            "7e3c-11:b_4.2",
            "Root=1-67891233-abcdef012345678912345678",
            &"x".repeat(LONGEST),
        ] {
            assert_eq!(settled(&[name]).1.as_str(), name);
        }
    }

    #[test]
    fn no_two_that_are_made_are_the_same() {
        let made: HashSet<String> = (0..3 * NAMES_AT_ONCE)
            .map(|_| RequestId::make().to_string())
            .collect();
        assert_eq!(made.len(), 3 * NAMES_AT_ONCE);
        assert!(
            made.iter()
                .all(|id| Uuid::parse_str(id).unwrap().get_version_num() == 4)
        );
    }

    #[test]
    fn any_other_is_replaced() {
        let long = "x".repeat(LONGEST + 1);
        let cases: [&[&str]; 7] = [
            &[],
            &[""],
            &["a b"],
            &["a\"b"],
            &["a{b}"],
            &[&long],
            &["one", "two"],
        ];
        for sent in cases {
            let (headers, id) = settled(sent);
            assert!(Uuid::parse_str(id.as_str()).is_ok(), "{sent:?}: {id}");
            assert_eq!(
                headers.get_all(REQUEST_ID).iter().collect::<Vec<_>>(),
                [id.as_str()]
            );
        }
    }
}
