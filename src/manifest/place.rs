//! Where in a file a member stands: for what is found wrong with its value after it has been read.

use serde::Deserialize;
use serde_json::value::RawValue;

/// A line and a column, from 1. The column counts bytes, as the parser's does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

impl Place {
    /// The beginning of a file.
    pub const START: Place = Place { line: 1, column: 1 };

    /// The place behind a text from the start of a file.
    pub(super) fn behind(before: &str) -> Place {
        let last_line = before.rsplit('\n').next().unwrap_or(before);
        Place {
            line: before.matches('\n').count() + 1,
            column: last_line.len() + 1,
        }
    }

    /// The same place, of a text that begins at `start` in a file.
    pub fn within(self, start: Place) -> Place {
        Place {
            line: start.line + self.line - 1,
            column: match self.line {
                1 => start.column + self.column - 1,
                _ => self.column,
            },
        }
    }
}

/// The members of an app that things can be wrong with although they are well written.
#[derive(Deserialize)]
struct Members<'t> {
    #[serde(borrow)]
    address: Option<&'t RawValue>,
    #[serde(borrow)]
    runtime_config: Option<&'t RawValue>,
    #[serde(borrow)]
    tls: Option<&'t RawValue>,
    #[serde(borrow)]
    reference: Option<&'t RawValue>,
}

/// Where the value of `address`, `runtime_config`, `tls` or `reference` begins in an app's text; `None` where there is none.
pub fn place_of(text: &str, member: &str) -> Option<Place> {
    let json = text.strip_prefix('\u{feff}').unwrap_or(text);
    let members: Members<'_> = serde_json::from_str(json).ok()?;
    let value = match member {
        "address" => members.address,
        "runtime_config" => members.runtime_config,
        "tls" => members.tls,
        _ => members.reference,
    }?;
    // The raw value borrows from `json`, so that the distance of the two is where it begins.
    let before = &json[..value.get().as_ptr() as usize - json.as_ptr() as usize];
    Some(Place::behind(before))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_found_where_its_value_begins() {
        let text =
            "{\n  \"reference\": \"a/b\",\n  \"x\": {\"tls\": 1},\n  \"tls\":\n    {\"cert\": \"a\"}\n}";
        let place = |line, column| Some(Place { line, column });
        assert_eq!(place_of(text, "reference"), place(2, 16));
        assert_eq!(place_of(text, "tls"), place(5, 5));
        assert_eq!(place_of(text, "address"), None);
        assert_eq!(place_of("{", "tls"), None);
        let start = Place { line: 7, column: 3 };
        assert_eq!(
            place_of(text, "tls").unwrap().within(start),
            Place { line: 11, column: 5 }
        );
        assert_eq!(Place::START.within(start), start);
    }
}
