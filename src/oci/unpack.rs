//! Archive layers: every regular file becomes a blob under its own sha256 (`docs/contract/oci.md` §3).
//!
//! The names in the archive are not used for anything, so that none can lead anywhere. The archive itself is not kept;
//! a list remembers which blobs it became.

use std::fs::File;
use std::io::{BufReader, Read, Seek as _, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::digest::Digest;
use super::error::OciError;
use super::limits::Limits;
use super::store::{BATCH, Store, StoreError, Verified};

/// How a gzip file begins.
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Whether a text is what [`unpack`] remembers of a layer.
pub(crate) fn is_list(text: &str) -> bool {
    text.lines().all(|line| {
        line.split_once(' ')
            .is_some_and(|(digest, size)| Digest::parse(digest).is_ok() && size.parse::<u64>().is_ok())
    })
}

/// The blobs that `layer` was unpacked into, if it was and all of them are still here.
pub(crate) fn unpacked(store: &Store, layer: &Digest) -> Option<Vec<Digest>> {
    let list = store.archive_list(layer);
    let text = std::fs::read_to_string(&list).ok()?;
    let mut blobs = Vec::new();
    for line in text.lines() {
        let (digest, size) = line.split_once(' ')?;
        let digest = Digest::parse(digest).ok()?;
        if !store.contains(&digest, Some(size.parse().ok()?)) {
            return None;
        }
        blobs.push(digest);
    }
    super::store::touch(&list);
    Some(blobs)
}

/// Unpacks `archive` into the store and remembers its list.
///
/// # Errors
/// Links, devices and other special entries are refused, as is anything above the limits.
pub(crate) fn unpack(
    store: &Store,
    layer: &Digest,
    archive: File,
    limits: &Limits,
) -> Result<Vec<Digest>, OciError> {
    let bad = |reason: String| OciError::BadArchive {
        layer: *layer,
        reason,
    };
    let damaged = |e: std::io::Error| match e.get_ref().and_then(|e| e.downcast_ref::<Expanded>()) {
        Some(Expanded(limit)) => {
            let what = format!("archive layer {layer} when unpacked");
            OciError::TooLarge {
                what,
                limit: *limit,
                unit: "bytes",
            }
        }
        None => bad(format!("it is not a readable tar ({e})")),
    };
    let reader = Bounded {
        inner: plain(archive).map_err(damaged)?,
        left: limits.archive_expansion,
        limits,
    };
    let mut tar = tar::Archive::new(reader);
    let mut blobs = Vec::new();
    let mut list = String::new();
    let mut batch = Vec::new();
    // Raw: since names are not used, headers that only carry long ones need not be held in memory.
    for (count, entry) in tar.entries().map_err(damaged)?.raw(true).enumerate() {
        if count >= limits.archive_entries {
            let what = format!("archive layer {layer}");
            return Err(OciError::TooLarge {
                what,
                limit: limits.archive_entries as u64,
                unit: "entries",
            });
        }
        let entry = entry.map_err(damaged)?;
        let kind = entry.header().entry_type();
        if !kind.is_file() {
            if is_harmless(kind) {
                continue;
            }
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(bad(format!(
                "entry {name:?} is neither a file nor a directory (type {:?})",
                kind
            )));
        }
        let mut writer = store.writer(limits.blob)?;
        writer
            .copy(entry)
            .map_err(damaged)?
            .map_err(|error| match error {
                StoreError::TooLarge { limit } => OciError::TooLarge {
                    what: format!("a file in archive layer {layer}"),
                    limit,
                    unit: "bytes",
                },
                other => OciError::Store(other),
            })?;
        let size = writer.written();
        let content = writer.finish_unnamed();
        let digest = *content.digest();
        list.push_str(&format!("{digest} {size}\n"));
        blobs.push(digest);
        if store.contains(&digest, Some(size)) {
            store.touch(&digest);
        } else {
            batch.push(content);
        }
        if batch.len() >= BATCH {
            Verified::commit_all(&mut batch)?;
        }
    }
    Verified::commit_all(&mut batch)?;
    // Last: a list that exists says that every file of it does.
    store.write_whole(&store.archive_list(layer), list.as_bytes())?;
    Ok(blobs)
}

/// Directories, and headers that describe the entries around them.
fn is_harmless(kind: tar::EntryType) -> bool {
    kind.is_dir()
        || kind.is_gnu_longname()
        || kind.is_pax_local_extensions()
        || kind.is_pax_global_extensions()
}

/// The tar within; pushers are known to gzip it, but the first bytes tell for sure.
fn plain(mut archive: File) -> std::io::Result<Box<dyn Read>> {
    let mut magic = [0; 2];
    let is_gzip = archive.read_exact(&mut magic).is_ok() && magic == GZIP_MAGIC;
    archive.seek(SeekFrom::Start(0))?;
    let archive = BufReader::new(archive);
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(archive))
    } else {
        Box::new(archive)
    })
}

/// Fails when more comes out than the limit, wherever in the archive it hides.
struct Bounded<'l, R> {
    inner: R,
    left: u64,
    limits: &'l Limits,
}

#[derive(Debug, thiserror::Error)]
#[error("more than {0} bytes")]
struct Expanded(u64);

impl<R: Read> Read for Bounded<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(buffer)?;
        match self.left.checked_sub(length as u64) {
            Some(left) => self.left = left,
            None => return Err(std::io::Error::other(Expanded(self.limits.archive_expansion))),
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use tar::{Builder, EntryType, Header};
    use tempfile::TempDir;

    use super::*;

    fn store() -> (TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        (dir, store)
    }

    fn header(kind: EntryType, size: u64) -> Header {
        let mut header = Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(size);
        header.set_mode(0o644);
        header
    }

    fn gzipped(fill: impl FnOnce(&mut Builder<GzEncoder<File>>)) -> File {
        let file = tempfile::tempfile().unwrap();
        let mut builder = Builder::new(GzEncoder::new(file, Compression::fast()));
        fill(&mut builder);
        let mut file = builder.into_inner().unwrap().finish().unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        file
    }

    fn add(builder: &mut Builder<GzEncoder<File>>, name: &str, bytes: &[u8]) {
        builder
            .append_data(&mut header(EntryType::Regular, bytes.len() as u64), name, bytes)
            .unwrap();
    }

    fn layer() -> Digest {
        Digest::of(b"the layer")
    }

    #[test]
    fn every_file_becomes_a_blob_and_the_list_is_remembered() {
        let (_dir, store) = store();
        let long = format!("./{}", "d/".repeat(120));
        let archive = gzipped(|tar| {
            tar.append_data(&mut header(EntryType::Directory, 0), "./img", &b""[..])
                .unwrap();
            add(tar, "./img/logo.png", b"logo");
            add(tar, &format!("{long}x"), b"deep");
            add(tar, "./empty", b"");
        });
        assert_eq!(unpacked(&store, &layer()), None);

        let blobs = unpack(&store, &layer(), archive, &Limits::default()).unwrap();

        assert_eq!(blobs, [Digest::of(b"logo"), Digest::of(b"deep"), Digest::of(b"")]);
        assert_eq!(store.read(&blobs[1]).unwrap().unwrap(), b"deep");
        assert_eq!(unpacked(&store, &layer()), Some(blobs.clone()));
        std::fs::remove_file(store.path(&blobs[0])).unwrap();
        assert_eq!(
            unpacked(&store, &layer()),
            None,
            "a list whose blobs are gone is of no use"
        );
    }

    #[test]
    fn links_and_devices_are_refused_by_name() {
        for kind in [
            EntryType::Symlink,
            EntryType::Link,
            EntryType::Char,
            EntryType::Fifo,
        ] {
            let (_dir, store) = store();
            let archive = gzipped(|tar| {
                let mut header = header(kind, 0);
                header.set_link_name("/etc/passwd").unwrap();
                tar.append_data(&mut header, "./evil", &b""[..]).unwrap();
            });
            let message = unpack(&store, &layer(), archive, &Limits::default())
                .unwrap_err()
                .to_string();
            assert!(
                message.contains("./evil") || message.contains("evil"),
                "{message}"
            );
        }
    }

    #[test]
    fn expansion_entry_size_and_entry_count_are_bounded() {
        let zeros = vec![0; 1 << 20];
        let bomb = || gzipped(|tar| (0..4).for_each(|n| add(tar, &format!("{n}"), &zeros)));
        for (limits, unit) in [
            (
                Limits {
                    archive_expansion: 2 << 20,
                    ..Limits::default()
                },
                "when unpacked",
            ),
            (
                Limits {
                    blob: 1 << 10,
                    ..Limits::default()
                },
                "a file in",
            ),
            (
                Limits {
                    archive_entries: 3,
                    ..Limits::default()
                },
                "entries",
            ),
        ] {
            let (_dir, store) = store();
            let error = unpack(&store, &layer(), bomb(), &limits).unwrap_err();
            assert!(matches!(error, OciError::TooLarge { .. }), "{error:?}");
            assert!(error.to_string().contains(unit), "{error}");
            assert_eq!(unpacked(&store, &layer()), None);
        }
    }

    #[test]
    fn a_damaged_archive_is_refused() {
        let (_dir, store) = store();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &[0x1f, 0x8b, 8, 0, 1, 2, 3]).unwrap();
        file.seek(SeekFrom::Start(0)).unwrap();
        let error = unpack(&store, &layer(), file, &Limits::default()).unwrap_err();
        assert!(matches!(error, OciError::BadArchive { .. }), "{error:?}");
    }
}
