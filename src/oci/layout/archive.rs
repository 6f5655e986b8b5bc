//! An image layout in a tar. Nothing is unpacked: entries are found by their place in the file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

use super::super::error::OciError;
use super::super::limits::Limits;
use super::super::store::Store;
use super::not_found;

/// How a gzip file begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// Bytes copied at a time when unzipping.
const COPY_CHUNK: usize = 256 * 1024;

#[derive(Debug)]
pub(crate) struct Archive {
    path: PathBuf,
    /// A plain tar: the file itself, or what it unzips to.
    tar: File,
    /// Place and size of every regular file, by its name without a leading `./`.
    entries: HashMap<String, (u64, u64)>,
}

/// A part of a file, read without moving the file's own position.
struct Part<'f> {
    file: &'f File,
    at: u64,
    left: u64,
}

impl Archive {
    pub(super) fn open(path: &Path, store: &Store, limits: &Limits) -> Result<Archive, OciError> {
        let unreadable = |source| OciError::Read {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(unreadable)?;
        let mut magic = [0; 2];
        let is_gzip = file.read_exact(&mut magic).is_ok() && magic == GZIP_MAGIC;
        file.seek(SeekFrom::Start(0)).map_err(unreadable)?;
        let tar = if is_gzip {
            unzip(file, path, store, limits)?
        } else {
            file
        };
        let entries = list(&tar, path, limits)?;
        Ok(Archive {
            path: path.to_owned(),
            tar,
            entries,
        })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn entry(&self, name: &str) -> Result<(Box<dyn Read + '_>, u64), OciError> {
        let &(at, left) = self
            .entries
            .get(name)
            .ok_or_else(|| not_found(name, &self.path))?;
        Ok((
            Box::new(Part {
                file: &self.tar,
                at,
                left,
            }),
            left,
        ))
    }
}

fn list(tar: &File, path: &Path, limits: &Limits) -> Result<HashMap<String, (u64, u64)>, OciError> {
    let bad = |reason: String| OciError::BadLayout {
        path: path.to_owned(),
        reason,
    };
    let damaged = |e: std::io::Error| bad(format!("it is not a readable tar ({e})"));
    let mut archive = tar::Archive::new(tar);
    let mut entries = HashMap::new();
    // Raw: the names of a layout are short, and headers for long ones could be made to fill the memory.
    for (count, entry) in archive
        .entries_with_seek()
        .map_err(damaged)?
        .raw(true)
        .enumerate()
    {
        if count >= limits.archive_entries {
            let what = format!("archive {}", path.display());
            return Err(OciError::TooLarge {
                what,
                limit: limits.archive_entries as u64,
                unit: "entries",
            });
        }
        let entry = entry.map_err(damaged)?;
        // Links could name any file, and a layout needs none: what is not a plain file does not count.
        if entry.header().entry_type().is_file() {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
            entries.insert(name, (entry.raw_file_position(), entry.size()));
        }
    }
    Ok(entries)
}

fn unzip(file: File, path: &Path, store: &Store, limits: &Limits) -> Result<File, OciError> {
    let unreadable = |source| OciError::Read {
        path: path.to_owned(),
        source,
    };
    let mut plain = tempfile::tempfile_in(store.scratch()).map_err(unreadable)?;
    let mut reader = MultiGzDecoder::new(file);
    let mut chunk = vec![0; COPY_CHUNK];
    let mut written = 0;
    loop {
        let length = reader.read(&mut chunk).map_err(unreadable)?;
        if length == 0 {
            break;
        }
        written += length as u64;
        if written > limits.archive_expansion {
            let what = format!("archive {} when unzipped", path.display());
            return Err(OciError::TooLarge {
                what,
                limit: limits.archive_expansion,
                unit: "bytes",
            });
        }
        plain.write_all(&chunk[..length]).map_err(unreadable)?;
    }
    plain.seek(SeekFrom::Start(0)).map_err(unreadable)?;
    Ok(plain)
}

impl Read for Part<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let length = self.file.read_at(&mut buffer[..wanted], self.at)?;
        if length == 0 && wanted > 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        self.at += length as u64;
        self.left -= length as u64;
        Ok(length)
    }
}
