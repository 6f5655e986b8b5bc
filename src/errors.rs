//! Errors in words.

use std::error::Error;

use rustix::io::Errno;

/// What to do where [`lacks_descriptors`].
pub const DESCRIPTORS_REMEDY: &str = "every descriptor that the process may have is in use; raise the limit (`ulimit -n`, LimitNOFILE= of systemd), or have apps share an address by `host` or `path`";

/// An error and its causes in one line.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Whether the process, or the machine, has as many open files as it may: some will be closed.
pub fn lacks_descriptors(error: &(dyn Error + 'static)) -> bool {
    let number = error.downcast_ref().and_then(Errno::from_io_error);
    matches!(number, Some(Errno::MFILE | Errno::NFILE)) || error.source().is_some_and(lacks_descriptors)
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("outside")]
    struct Outside(#[source] io::Error);

    #[test]
    fn a_lack_of_descriptors_is_found_below_other_errors() {
        let lacks = |number: Errno| lacks_descriptors(&Outside(number.into()));
        assert!(lacks(Errno::MFILE) && lacks(Errno::NFILE));
        assert!(!lacks(Errno::NOENT) && !lacks_descriptors(&Outside(io::Error::other("x"))));
    }
}
