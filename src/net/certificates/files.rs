//! Files for TLS that are read again when they change. One task looks at all of them, each once, however many apps name
//! it.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use sha2::{Digest as _, Sha256};
use tokio::sync::watch;

use super::pem::{Certificate, CertificateError, ClientAuthority, PemFile};
use crate::errors::chain;
use crate::net::{CertificateSource, KeyPairFiles, ServerTls};
use crate::tasks;

/// How often the files are looked at.
const INTERVAL: Duration = Duration::from_secs(1);
/// A file that was written this short a time before it was read may have been written again since, within one tick of the
/// file system's clock.
const CLOCK_TICK: Duration = Duration::from_secs(2);
/// Bytes; a chain is a few thousand.
const MAX_SIZE: u64 = 4 << 20;

/// All files for TLS of the process. A cheap handle.
#[derive(Clone, Default)]
pub struct CertificateFiles {
    table: Arc<Mutex<Table>>,
}

#[derive(Default)]
struct Table {
    certificates: HashMap<KeyPairFiles, Weak<Watched<Certificate>>>,
    authorities: HashMap<PathBuf, Weak<Watched<ClientAuthority>>>,
    looked_after: bool,
}

impl CertificateFiles {
    /// A certificate and its key. Blocks on the disk.
    pub fn certificate(&self, pair: &KeyPairFiles) -> Result<Arc<Watched<Certificate>>, CertificateError> {
        let paths = vec![pair.certificate.clone(), pair.key.clone()];
        self.watched(paths, |table| (&mut table.certificates, pair.clone()))
    }

    /// Authorities of clients' certificates. Blocks on the disk.
    pub fn authority(&self, file: &Path) -> Result<Arc<Watched<ClientAuthority>>, CertificateError> {
        let name = file.to_owned();
        self.watched(vec![name.clone()], |table| (&mut table.authorities, name))
    }

    fn watched<K: std::hash::Hash + Eq, T: Content>(
        &self,
        paths: Vec<PathBuf>,
        place: impl FnOnce(&mut Table) -> (&mut HashMap<K, Weak<Watched<T>>>, K),
    ) -> Result<Arc<Watched<T>>, CertificateError> {
        // What is good in the files now is wanted, not what was good last time: an app that starts anew is told of a mistake.
        let fresh = Watched::read(paths)?;
        let mut table = lock(&self.table);
        self.look_after(&mut table);
        let (entries, name) = place(&mut table);
        if let Some(known) = entries.get(&name).and_then(Weak::upgrade) {
            drop(table);
            known.look();
            return Ok(known);
        }
        let fresh = Arc::new(fresh);
        entries.insert(name, Arc::downgrade(&fresh));
        Ok(fresh)
    }

    /// Begins the task, once there is something to look at.
    fn look_after(&self, table: &mut Table) {
        if std::mem::replace(&mut table.looked_after, true) {
            return;
        }
        let files = Arc::downgrade(&self.table);
        tasks::spawn("certificates", async move {
            loop {
                tokio::time::sleep(INTERVAL).await;
                let Some(files) = files.upgrade() else { return };
                // A panic has been logged; the next look may fare better.
                let _ = tokio::task::spawn_blocking(move || look_at_all(&files)).await;
            }
        });
    }
}

fn look_at_all(table: &Mutex<Table>) {
    let mut held = lock(table);
    held.certificates.retain(|_, entry| entry.strong_count() > 0);
    held.authorities.retain(|_, entry| entry.strong_count() > 0);
    let certificates: Vec<_> = held.certificates.values().filter_map(Weak::upgrade).collect();
    let authorities: Vec<_> = held.authorities.values().filter_map(Weak::upgrade).collect();
    drop(held);
    certificates.iter().for_each(|entry| entry.look());
    authorities.iter().for_each(|entry| entry.look());
}

/// What files are read into.
pub trait Content: Send + Sync + Sized + 'static {
    /// `files` are as many as were asked for.
    fn parse(files: &[PemFile<'_>]) -> Result<Self, CertificateError>;

    /// Why it is of no use any more, though nothing is wrong with the files.
    fn outlived(&self, now: SystemTime) -> Option<String>;
}

impl Content for Certificate {
    fn parse(files: &[PemFile<'_>]) -> Result<Self, CertificateError> {
        Certificate::parse(&files[0], &files[files.len() - 1])
    }

    fn outlived(&self, now: SystemTime) -> Option<String> {
        (self.not_after < now).then(|| {
            let end = humantime::format_rfc3339_seconds(self.not_after);
            format!("ended on {end}, and clients refuse it; put a new one in its place")
        })
    }
}

impl Content for ClientAuthority {
    fn parse(files: &[PemFile<'_>]) -> Result<Self, CertificateError> {
        ClientAuthority::parse(&files[0])
    }

    fn outlived(&self, _: SystemTime) -> Option<String> {
        None
    }
}

/// Files, and the last good content of them.
pub struct Watched<T> {
    paths: Vec<PathBuf>,
    current: ArcSwap<T>,
    seen: Mutex<Seen>,
    trouble: watch::Sender<Option<String>>,
}

/// What the last look saw.
struct Seen {
    stamps: Vec<Option<Stamp>>,
    read: SystemTime,
    /// Of the content in use.
    digest: Hash,
    /// Why the files are not in use.
    refused: Option<String>,
    /// Only what a second look sees too is told: two files are not replaced at once.
    doubted: bool,
}

type Hash = [u8; 32];

/// What changes when a file does, behind all links.
#[derive(PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl<T: Content> Watched<T> {
    fn read(paths: Vec<PathBuf>) -> Result<Self, CertificateError> {
        let stamps = stamps(&paths);
        let read = SystemTime::now();
        let contents = contents(&paths)?;
        let current = parse(&paths, &contents)?;
        let watched = Self {
            seen: Mutex::new(Seen {
                stamps,
                read,
                digest: digest(&contents),
                refused: None,
                doubted: false,
            }),
            paths,
            current: ArcSwap::from_pointee(current),
            trouble: watch::Sender::new(None),
        };
        watched.tell(None);
        Ok(watched)
    }

    pub fn current(&self) -> Arc<T> {
        self.current.load_full()
    }

    /// Why what is in the files is not what is used, or of no use; for people.
    pub fn trouble(&self) -> watch::Receiver<Option<String>> {
        self.trouble.subscribe()
    }

    /// Reads the files again if they have changed. Blocks on the disk.
    fn look(&self) {
        let mut seen = lock(&self.seen);
        let stamps = stamps(&self.paths);
        if !seen.doubted && seen.stamps == stamps && is_settled(&stamps, seen.read) {
            return self.tell(seen.refused.as_deref());
        }
        seen.stamps = stamps;
        seen.read = SystemTime::now();
        let outcome = self.changed(&seen.digest);
        match outcome {
            Ok(changed) => {
                seen.refused = None;
                seen.doubted = false;
                if let Some((content, digest)) = changed {
                    seen.digest = digest;
                    self.current.store(Arc::new(content));
                    tracing::info!(files = self.names(), "changed files for TLS are used");
                }
                self.tell(None);
            }
            Err(reason) => {
                seen.doubted = seen.refused.as_ref() != Some(&reason);
                seen.refused = Some(reason);
                if !seen.doubted {
                    self.tell(seen.refused.as_deref());
                }
            }
        }
    }

    /// The content of the files, if it is another one than what has this digest, and can be used.
    fn changed(&self, used: &Hash) -> Result<Option<(T, Hash)>, String> {
        let contents = contents(&self.paths).map_err(|error| chain(&error))?;
        let digest = digest(&contents);
        if digest == *used {
            return Ok(None);
        }
        let content: T = parse(&self.paths, &contents).map_err(|error| chain(&error))?;
        let now = SystemTime::now();
        match content.outlived(now) {
            // What is used is as little use.
            Some(_) if self.current.load().outlived(now).is_some() => {}
            Some(reason) => return Err(self.outlived(&reason)),
            None => {}
        }
        Ok(Some((content, digest)))
    }

    fn outlived(&self, reason: &str) -> String {
        format!("the certificate in {} {reason}", self.paths[0].display())
    }

    /// Logs a trouble once, and its end.
    fn tell(&self, refused: Option<&str>) {
        let trouble = match refused {
            Some(reason) => Some(format!("{reason}; what was read before goes on being used")),
            None => {
                let outlived = self.current.load().outlived(SystemTime::now());
                outlived.map(|reason| self.outlived(&reason))
            }
        };
        self.trouble.send_if_modified(|told| {
            if *told == trouble {
                return false;
            }
            match &trouble {
                Some(reason) => tracing::error!(reason, "the files for TLS are not good"),
                None => tracing::info!(files = self.names(), "the files for TLS are good again"),
            }
            *told = trouble;
            true
        });
    }

    fn names(&self) -> String {
        let names: Vec<_> = self.paths.iter().map(|path| path.display().to_string()).collect();
        names.join(", ")
    }
}

/// Whether the files that an app names can be used now; `Some`: why they are of no use all the same. Blocks on the disk.
///
/// # Errors
/// The first file that can't be used.
pub fn check(tls: &ServerTls) -> Result<Option<String>, CertificateError> {
    let mut outlived = None;
    if let CertificateSource::Files(pair) = &tls.certificate {
        let paths = vec![pair.certificate.clone(), pair.key.clone()];
        let certificate: Certificate = parse(&paths, &contents(&paths)?)?;
        let reason = certificate.outlived(SystemTime::now());
        outlived = reason.map(|reason| format!("the certificate in {} {reason}", pair.certificate.display()));
    }
    if let Some(file) = &tls.client_ca {
        let paths = vec![file.clone()];
        let _: ClientAuthority = parse(&paths, &contents(&paths)?)?;
    }
    Ok(outlived)
}

fn stamps(paths: &[PathBuf]) -> Vec<Option<Stamp>> {
    let stamp = |path: &PathBuf| {
        let facts = std::fs::metadata(path).ok()?;
        Some(Stamp {
            device: facts.dev(),
            inode: facts.ino(),
            size: facts.size(),
            modified: (facts.mtime(), facts.mtime_nsec()),
            changed: (facts.ctime(), facts.ctime_nsec()),
        })
    };
    paths.iter().map(stamp).collect()
}

/// Whether a further change would show in the stamps.
fn is_settled(stamps: &[Option<Stamp>], read: SystemTime) -> bool {
    let read = read.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    stamps.iter().flatten().all(|stamp| {
        let changed = Duration::from_secs(u64::try_from(stamp.changed.0).unwrap_or_default());
        changed + CLOCK_TICK < read
    })
}

fn contents(paths: &[PathBuf]) -> Result<Vec<Vec<u8>>, CertificateError> {
    let read = |path: &PathBuf| {
        read_file(path).map_err(|source| CertificateError::Unreadable {
            path: path.clone(),
            source,
        })
    };
    paths.iter().map(read).collect()
}

fn read_file(path: &Path) -> std::io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write into it.
    if !std::fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut content = Vec::new();
    File::open(path)?.take(MAX_SIZE + 1).read_to_end(&mut content)?;
    if content.len() as u64 > MAX_SIZE {
        return Err(std::io::Error::other(format!(
            "it is larger than {MAX_SIZE} bytes"
        )));
    }
    Ok(content)
}

fn parse<T: Content>(paths: &[PathBuf], contents: &[Vec<u8>]) -> Result<T, CertificateError> {
    let files = paths.iter().zip(contents);
    let files = files.map(|(path, content)| PemFile { path, content });
    T::parse(&files.collect::<Vec<_>>())
}

fn digest(contents: &[Vec<u8>]) -> Hash {
    let mut digest = Sha256::new();
    for content in contents {
        digest.update((content.len() as u64).to_le_bytes());
        digest.update(content);
    }
    digest.finalize().into()
}

/// Nothing panics while one of these is held, but for a defect in a parser, after which the last state still stands.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
