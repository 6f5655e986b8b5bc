//! The last lines of a file, without reading all of it.

use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};

const BLOCK: u64 = 64 << 10;

/// A file that was opened, up to where it was written then: what comes later, and a new name, change nothing.
pub(super) struct Written {
    file: File,
    bytes: u64,
}

impl Written {
    pub(super) fn of(file: File) -> io::Result<Self> {
        let bytes = file.metadata()?.len();
        Ok(Self { file, bytes })
    }

    /// Up to `count` lines, without their ends.
    pub(super) fn last_lines(&mut self, count: usize) -> io::Result<Vec<Vec<u8>>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let mut from = self.bytes;
        let mut ends = 0;
        // The end of the line before the first one belongs to it.
        while from > 0 && ends <= count {
            let block = BLOCK.min(from);
            from -= block;
            ends += self
                .read(from, block)?
                .iter()
                .filter(|byte| **byte == b'\n')
                .count();
        }
        let text = self.read(from, self.bytes - from)?;
        let text = text.strip_suffix(b"\n").unwrap_or(&text);
        if text.is_empty() && self.bytes == 0 {
            return Ok(Vec::new());
        }
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').collect();
        let first = lines.len().saturating_sub(count);
        Ok(lines[first..].iter().map(|line| line.to_vec()).collect())
    }

    fn read(&mut self, from: u64, bytes: u64) -> io::Result<Vec<u8>> {
        let mut read = Vec::new();
        self.file.seek(SeekFrom::Start(from))?;
        (&self.file).take(bytes).read_to_end(&mut read)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn last(text: &str, count: usize) -> Vec<String> {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text.as_bytes()).unwrap();
        let lines = Written::of(file).unwrap().last_lines(count).unwrap();
        lines
            .into_iter()
            .map(|line| String::from_utf8(line).unwrap())
            .collect()
    }

    #[test]
    fn the_last_lines_are_whole() {
        assert_eq!(last("", 3), [""; 0]);
        assert_eq!(last("\n", 3), [""]);
        assert_eq!(last("a\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(last("a\nb\nc", 2), ["b", "c"]);
        assert_eq!(last("a\n\nb\n", 9), ["a", "", "b"]);
        assert_eq!(last("a\n", 0), [""; 0]);
    }

    #[test]
    fn lines_longer_than_a_block_are_found() {
        let long = "x".repeat(BLOCK as usize + 7);
        assert_eq!(last(&format!("a\n{long}\nb\n"), 2), [&long, "b"]);
        assert_eq!(last(&format!("{long}\n{long}"), 5), [&*long, &*long]);
    }
}
