//! The names of files.

use super::Stream;

/// What no file's name may have, on whichever system: as Spin removes it.
const ILLEGAL: [char; 9] = ['/', '?', '<', '>', '\\', ':', '*', '|', '"'];
/// Bytes of a component's id in a file's name, so that the whole name stays within 255.
const MAX_ID: usize = 240;
const EXTENSION: &str = ".txt";
/// What follows the name of a file that is full.
const OLDER: &str = ".1";

/// The component's id as it is in the names of its files.
pub(super) fn component(id: &str) -> String {
    let mut name: String = id
        .chars()
        .filter(|character| !character.is_control() && !ILLEGAL.contains(character))
        .collect();
    if name.chars().all(|character| character == '.') {
        name.clear();
    }
    name.truncate(name.floor_char_boundary(MAX_ID));
    name
}

pub(super) fn file(component_id: &str, stream: Stream) -> String {
    format!("{}_{}{EXTENSION}", component(component_id), stream.name())
}

/// The name of the one before it.
pub(super) fn older(file: &str) -> String {
    format!("{file}{OLDER}")
}

/// The component and the stream of a file.
pub(super) fn parse(file: &str) -> Option<(&str, Stream)> {
    let (component, stream) = file.strip_suffix(EXTENSION)?.rsplit_once('_')?;
    let stream = Stream::ALL.into_iter().find(|known| known.name() == stream)?;
    Some((component, stream))
}

/// The name of an app's directory where several apps have theirs: no two apps have the same.
pub fn app_directory(id: &str) -> String {
    let escaped = id.replace('%', "%25").replace('/', "%2F");
    match escaped.strip_prefix('.') {
        Some(rest) => format!("%2E{rest}"),
        None => escaped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_keeps_what_a_file_may_be_called() {
        assert_eq!(
            file("my-component_1", Stream::Stdout),
            "my-component_1_stdout.txt"
        );
        assert_eq!(file("../a:b\n", Stream::Stderr), "..ab_stderr.txt");
        assert_eq!(file("...", Stream::Stderr), "_stderr.txt");
        assert!(file(&"ü".repeat(300), Stream::Stdout).len() + OLDER.len() <= 255);
    }

    #[test]
    fn a_file_says_whose_it_is() {
        assert_eq!(parse("a_b_stdout.txt"), Some(("a_b", Stream::Stdout)));
        assert_eq!(parse("a_stdout.txt.1"), None);
        assert_eq!(parse("a_stdin.txt"), None);
    }

    #[test]
    fn apps_have_directories_apart() {
        let names = ["a/b", "a%2Fb", "ab", "..", ".", "%2E."].map(app_directory);
        let apart = std::collections::BTreeSet::from_iter(&names);
        assert_eq!(apart.len(), names.len(), "{names:?}");
        assert!(
            names
                .iter()
                .all(|name| !name.contains('/') && !name.starts_with('.'))
        );
    }
}
