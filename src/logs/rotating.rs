//! A file of lines that does not grow beyond its size.

use std::fs::File;
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::names;

pub(super) struct RotatingFile {
    path: PathBuf,
    file: BufWriter<File>,
    /// Those in the buffer included.
    bytes: u64,
    used: Instant,
}

impl RotatingFile {
    /// Goes on at the end of what is there. A directory that is missing is made.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = match append(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                std::fs::create_dir_all(path.parent().unwrap_or(Path::new("")))?;
                append(path)?
            }
            opened => opened?,
        };
        Ok(Self {
            path: path.to_owned(),
            bytes: file.metadata()?.len(),
            file: BufWriter::new(file),
            used: Instant::now(),
        })
    }

    /// Writes a line of two parts, whose end may be missing. When it has no place within `size` bytes, what is there becomes the
    /// older file, in the place of the one before.
    pub(super) fn write(&mut self, line: &[&[u8]; 2], size: u64) -> io::Result<()> {
        self.used = Instant::now();
        let [first, last] = line;
        let end: &[u8] = if last.ends_with(b"\n") { b"" } else { b"\n" };
        let bytes = (first.len() + last.len() + end.len()) as u64;
        if self.bytes > 0 && self.bytes + bytes > size {
            self.rotate()?;
        }
        self.bytes += bytes;
        self.file.write_all(first)?;
        self.file.write_all(last)?;
        self.file.write_all(end)
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }

    pub(super) fn used(&self) -> Instant {
        self.used
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.flush()?;
        match std::fs::rename(&self.path, older(&self.path)) {
            // Somebody has removed it: so much the better.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            renamed => renamed?,
        }
        *self = Self::open(&self.path)?;
        Ok(())
    }
}

/// Where the lines before those of `path` are.
pub(super) fn older(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(names::older(&name))
}

fn append(path: &Path) -> io::Result<File> {
    File::options().create(true).append(true).open(path)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn two_files_hold_the_last_lines_and_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("logs/c_stdout.txt");
        for round in 0..3 {
            // It goes on with the same file when it is opened again.
            let mut file = RotatingFile::open(&path).unwrap();
            for number in 0..10 {
                let text = format!("{number} {}", "x".repeat(10));
                file.write(&[format!("{round}-").as_bytes(), text.as_bytes()], 100)
                    .unwrap();
            }
            file.flush().unwrap();
        }
        let newer = fs::read_to_string(&path).unwrap();
        let all = fs::read_to_string(older(&path)).unwrap() + newer.as_str();
        assert!(newer.len() <= 100 && all.len() <= 200, "{all}");
        let lines: Vec<_> = all.lines().collect();
        assert_eq!((lines.len() > 6, lines.last()), (true, Some(&"2-9 xxxxxxxxxx")));
    }

    #[test]
    fn a_line_larger_than_the_file_has_one_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("c_stdout.txt");
        let mut file = RotatingFile::open(&path).unwrap();
        for line in ["short\n", "a very long line\n", "short again\n"] {
            file.write(&[b"", line.as_bytes()], 12).unwrap();
        }
        file.flush().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "short again\n");
        assert_eq!(fs::read_to_string(older(&path)).unwrap(), "a very long line\n");
    }
}
