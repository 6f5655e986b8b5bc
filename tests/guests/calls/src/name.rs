//! Names as Rust has them, and as interface definitions have them.

/// `AtMostOnce`, `data_type` to `at-most-once`, `data-type`; what is a word of Rust's has a `_` more there.
pub fn defined(name: &str) -> String {
    let mut out = String::new();
    for (at, letter) in name.trim_end_matches('_').char_indices() {
        if letter.is_uppercase() && at > 0 {
            out.push('-');
        }
        out.push(if letter == '_' {
            '-'
        } else {
            letter.to_ascii_lowercase()
        });
    }
    out
}

/// `at-most-once` to `AtMostOnce`.
pub fn case(name: &str) -> String {
    let mut out = String::new();
    for word in name.split('-') {
        let mut letters = word.chars();
        out.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(letters.as_str());
    }
    out
}

/// `data-type` to `data_type`.
pub fn member(name: &str) -> String {
    name.replace('-', "_")
}
