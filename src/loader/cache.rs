//! Compiled code, kept below the store's root so that a restart compiles nothing.
//!
//! ```text
//! compiled/<engines' hash>/<key>  the sha256 of the code, its engine, and the trials that it has passed (see `entry.rs`)
//! code/<sha256>                   what the engine made, mapped and executed
//! ```
//!
//! An index entry and its code become visible by rename, code first, so an entry never names code that is still being
//! written. Nothing relies on that: a process hashes code before it maps it for the first time, and whatever does not fit is
//! compiled again.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};

use prometheus_client::metrics::counter::Counter;
use sha2::{Digest as _, Sha256};
use tokio::sync::{OwnedMutexGuard, Semaphore};
use tokio::task::spawn_blocking;
use wasmtime::component::Component;
use wasmtime::{Engine, Module, Precompiled};

use super::compile::compile;
use super::disk;
use super::entry::Entry;
use super::error::LoadError;
use super::sweep;
use super::trial::Trial;
use crate::runtime::{EngineKind, Engines};
use crate::tasks;

/// Below the store's root.
pub(super) const COMPILED: &str = "compiled";
/// Below the store's root.
pub(super) const CODE: &str = "code";
/// Part of every key: raised when the steps before compilation change what they make of the same content.
const PIPELINE: &[u8] = b"lepton-loader-3";
/// So many keys are not worth a look at which of them are in use.
const MIN_SLOTS: usize = 64;

/// What a compiled component is made from: the content's digests and everything else that shapes the result.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct CacheKey([u8; 32]);

impl CacheKey {
    /// The key of these parts, in this order. The same content composed differently needs different parts.
    pub(super) fn of<P: AsRef<[u8]>>(parts: &[P]) -> CacheKey {
        let mut hash = Sha256::new_with_prefix(PIPELINE);
        for part in parts {
            let part = part.as_ref();
            // Lengths first: ["ab", "c"] and ["a", "bc"] are different.
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        CacheKey(hash.finalize().into())
    }

    fn file_name(&self) -> String {
        hex::encode(self.0)
    }
}

impl fmt::Debug for CacheKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file_name())
    }
}

/// A compiled component or command. Clones share it, and so do all apps that ask for the same key while one clone lives.
#[derive(Clone)]
pub struct Compiled(Arc<Slot>);

/// What can be linked.
pub enum Code {
    /// A component, whatever it was made from.
    Component(Component),
    /// A command of WASI preview 1, which is run as it is (`docs/contract/http-trigger.md` §6.3).
    Command(Module),
}

impl Compiled {
    /// What can be linked.
    pub fn code(&self) -> &Code {
        &self.loaded().code
    }

    /// The component, where only a component will do; `name` is its id, for errors.
    ///
    /// # Errors
    /// [`LoadError::Command`].
    pub fn component(&self, name: &str) -> Result<&Component, LoadError> {
        match self.code() {
            Code::Component(component) => Ok(component),
            Code::Command(_) => Err(LoadError::Command {
                component: name.to_owned(),
            }),
        }
    }

    /// The files it is made of, relative to the store's root, for the app's pins; none when they could not be written.
    pub fn paths(&self) -> &[PathBuf] {
        &self.loaded().paths
    }

    /// One that no cache has, for tests of what runs it.
    #[cfg(test)]
    pub(crate) fn uncached(component: Component) -> Self {
        let slot = Slot::default();
        let loaded = Loaded {
            code: Code::Component(component),
            paths: Vec::new(),
        };
        assert!(slot.loaded.set(loaded).is_ok());
        Self(Arc::new(slot))
    }

    fn loaded(&self) -> &Loaded {
        // `CompileCache::get` hands a slot out only after filling it.
        self.0
            .loaded
            .get()
            .expect("a slot is filled before it is handed out")
    }
}

impl fmt::Debug for Compiled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compiled")
            .field("paths", &self.paths())
            .finish_non_exhaustive()
    }
}

/// One key's place.
#[derive(Default)]
struct Slot {
    loaded: OnceLock<Loaded>,
    /// Held while the slot is being filled, by the thread that fills it: its caller may be given up, and the next one
    /// then waits for the work that goes on, instead of doing it a second time.
    filling: Arc<tokio::sync::Mutex<()>>,
}

struct Loaded {
    code: Code,
    paths: Vec<PathBuf>,
}

/// What was compiled so far. Clones count together.
#[derive(Debug, Clone, Default)]
pub struct CompileCounts {
    /// Components and commands.
    pub count: Counter,
    /// The time that it took, with what makes one component of several.
    pub seconds: Counter<f64, AtomicU64>,
}

/// A handle on the compilation cache of a process's engines; clones share it.
#[derive(Clone)]
pub(super) struct CompileCache(Arc<Inner>);

struct Inner {
    engines: Engines,
    files: Files,
    /// Compiling is all processor: more at once would only add memory.
    cores: Arc<Semaphore>,
    slots: Mutex<Slots>,
    compiles: CompileCounts,
}

/// Keys that are being compiled or in use. Weak, so that code is unmapped with its last user.
#[derive(Default)]
struct Slots {
    by_key: HashMap<CacheKey, Weak<Slot>>,
    /// With so many entries it is looked which of them are no longer in use: their number is bounded by twice that of those in
    /// use, and a new one does not cost a look at all others.
    clean_at: usize,
}

/// What is on disk of a key.
pub(super) struct Stored {
    /// As [`Compiled::paths`].
    pub(super) paths: Vec<PathBuf>,
    /// What it has passed.
    pub(super) trials: Vec<String>,
}

impl CompileCache {
    /// Opens the cache below the store's `root`; `scratch` is a directory on the same file system for half-written
    /// files, which somebody else sweeps. Removes the entries of other engines: their code can't be loaded here.
    /// Blocks on the disk.
    ///
    /// # Errors
    /// When a directory can't be made.
    pub(super) fn open(root: &Path, scratch: &Path, engines: &Engines) -> Result<CompileCache, LoadError> {
        let engine_hash = engine_hash(engines);
        let files = Files {
            root: root.to_owned(),
            scratch: scratch.to_owned(),
            index: Path::new(COMPILED).join(&engine_hash),
            verified: Mutex::default(),
        };
        for dir in [&root.join(&files.index), &root.join(CODE), &files.scratch] {
            disk::make_dir(dir)?;
        }
        sweep::remove_other_engines(root, &engine_hash);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(CompileCache(Arc::new(Inner {
            engines: engines.clone(),
            files,
            cores: Arc::new(Semaphore::new(cores)),
            slots: Mutex::default(),
            compiles: CompileCounts::default(),
        })))
    }

    pub(super) fn compiles(&self) -> &CompileCounts {
        &self.0.compiles
    }

    /// The code of `key`: from memory, from disk, or compiled from the component or the command that `make` returns. `make`
    /// runs on a blocking thread, and only when there is something to compile. Callers that want one key at the same time share one
    /// compilation; `name` is the component's id, for errors.
    ///
    /// Cancel-safe: a compilation that has begun finishes, and its result is on disk for the next caller.
    ///
    /// # Errors
    /// What `make` returns, or [`LoadError::Compile`]. A disk that refuses the code is only logged.
    pub(super) async fn get<F>(&self, key: &CacheKey, name: &str, make: F) -> Result<Compiled, LoadError>
    where
        F: FnOnce() -> Result<Vec<u8>, LoadError> + Send + 'static,
    {
        let slot = self.slot(key);
        if slot.loaded.get().is_none() {
            let filling = slot.filling.clone().lock_owned().await;
            if slot.loaded.get().is_none() {
                self.fill(&slot, filling, key, name, make).await?;
            }
        }
        Ok(Compiled(slot))
    }

    fn slot(&self, key: &CacheKey) -> Arc<Slot> {
        let mut slots = self.0.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(slot) = slots.by_key.get(key).and_then(Weak::upgrade) {
            return slot;
        }
        if slots.by_key.len() >= slots.clean_at {
            slots.by_key.retain(|_, slot| slot.strong_count() > 0);
            slots.clean_at = 2 * slots.by_key.len().max(MIN_SLOTS);
        }
        let slot = Arc::new(Slot::default());
        slots.by_key.insert(*key, Arc::downgrade(&slot));
        slot
    }

    /// What is on disk of `key`, which is then in use as pruning sees it. Nothing is mapped: the code may turn out to be
    /// damaged when it is, and is then compiled again. `None`: it has to be compiled.
    pub(super) async fn look_up(&self, key: &CacheKey) -> Option<Stored> {
        let (inner, key) = (self.0.clone(), *key);
        tasks::on_disk(move || inner.files.look_up(&key)).await
    }

    /// Remembers what the code of `key` has passed. A disk that refuses is only logged: it will be tried again.
    pub(super) async fn passed(&self, key: &CacheKey, trial: Trial) {
        let (inner, key) = (self.0.clone(), *key);
        tasks::on_disk(move || inner.files.passed(&key, &trial)).await;
    }

    async fn fill<F>(
        &self,
        slot: &Arc<Slot>,
        filling: OwnedMutexGuard<()>,
        key: &CacheKey,
        name: &str,
        make: F,
    ) -> Result<(), LoadError>
    where
        F: FnOnce() -> Result<Vec<u8>, LoadError> + Send + 'static,
    {
        let interrupted = |source| LoadError::Interrupted {
            component: name.to_owned(),
            source,
        };
        let span = tracing::Span::current();
        let work = Work {
            inner: self.0.clone(),
            slot: slot.clone(),
            key: *key,
            name: name.to_owned(),
            _filling: filling,
        };
        let entered = span.clone();
        let (work, found) = tasks::on_disk(move || {
            let _entered = entered.entered();
            let found = work.find();
            (work, found)
        })
        .await;
        if found {
            return Ok(());
        }
        // For compiling only: code that is there must not wait for what others compile.
        let permit = self.0.cores.clone().acquire_owned().await;
        let permit = permit.expect("the semaphore is never closed");
        let compiled = spawn_blocking(move || {
            let _entered = span.entered();
            // Held by the thread, not by the caller: a cancelled caller's compilation still takes a core.
            let _permit = permit;
            work.compile(make)
        });
        compiled.await.map_err(interrupted)?
    }
}

/// The filling of one slot, step by step on blocking threads.
struct Work {
    inner: Arc<Inner>,
    slot: Arc<Slot>,
    key: CacheKey,
    name: String,
    _filling: OwnedMutexGuard<()>,
}

impl Work {
    /// Whether the code was on disk; the slot is then full.
    fn find(&self) -> bool {
        let Some((code, engine)) = self.inner.files.find(&self.key) else {
            return false;
        };
        match self.inner.map(&self.key, &self.name, &code, engine) {
            Ok(loaded) => {
                self.put(loaded);
                true
            }
            Err(error) => {
                tracing::warn!(component = self.name, %error, "compiled code does not load; compiling again");
                false
            }
        }
    }

    fn compile<F>(self, make: F) -> Result<(), LoadError>
    where
        F: FnOnce() -> Result<Vec<u8>, LoadError>,
    {
        let started = std::time::Instant::now();
        let wasm = make()?;
        let compiled = compile(&self.inner.engines, &wasm);
        let (engine, compiled) = compiled.map_err(|source| LoadError::Compile {
            component: self.name.clone(),
            source,
        })?;
        self.inner.compiles.count.inc();
        self.inner
            .compiles
            .seconds
            .inc_by(started.elapsed().as_secs_f64());
        tracing::info!(
            component = self.name,
            wasm_bytes = wasm.len(),
            code_bytes = compiled.len(),
            milliseconds = started.elapsed().as_millis() as u64,
            "component compiled"
        );
        let stored = self.inner.files.put(&self.key, &compiled, engine);
        let loaded = match stored.and_then(|code| self.inner.map(&self.key, &self.name, &code, engine)) {
            Ok(loaded) => loaded,
            Err(error) => {
                tracing::warn!(
                    component = self.name,
                    error = &error as &dyn std::error::Error,
                    "compiled code can't be kept: it will be compiled again after a restart"
                );
                self.inner.use_once(&self.name, &compiled, engine)?
            }
        };
        self.put(loaded);
        Ok(())
    }

    fn put(&self, loaded: Loaded) {
        // Only whoever holds `filling` gets here, after it has found the slot empty.
        drop(self.slot.loaded.set(loaded));
    }
}

impl Inner {
    fn map(&self, key: &CacheKey, name: &str, code: &str, engine: EngineKind) -> Result<Loaded, LoadError> {
        let engine = self.engines.get(engine);
        let relative = Path::new(CODE).join(code);
        let error = |source| LoadError::Map {
            component: name.to_owned(),
            source,
        };
        let path = self.files.root.join(&relative);
        let kind = Engine::detect_precompiled_file(&path).map_err(error)?;
        // SAFETY: the file must be what this engine's `precompile_component` or `precompile_module` wrote, unchanged while
        // it is mapped. Written: the name is the sha256 of the content, which the caller has just checked or made, and the
        // index entry that led here was made by `put` under these engines' own hash, and names this one. Unchanged:
        // files below the store's root appear by rename, are never opened for writing again, and the root is its owner's alone; who
        // can write there can change this program's own files as well. Removal is harmless, a mapping keeps the content.
        let code = unsafe {
            match kind {
                Some(Precompiled::Module) => Module::deserialize_file(engine, path).map(Code::Command),
                // Anything else is refused here, by what the engine says about it.
                _ => Component::deserialize_file(engine, path).map(Code::Component),
            }
        };
        Ok(Loaded {
            code: code.map_err(error)?,
            paths: vec![self.files.index.join(key.file_name()), relative],
        })
    }

    /// Code that has no file: a disk that is full or read-only must not keep an app from starting.
    fn use_once(&self, name: &str, compiled: &[u8], engine: EngineKind) -> Result<Loaded, LoadError> {
        let engine = self.engines.get(engine);
        // SAFETY: the bytes must be what this engine's `precompile_component` or `precompile_module` returned: the one
        // caller has just made them.
        let code = unsafe {
            match Engine::detect_precompiled(compiled) {
                Some(Precompiled::Module) => Module::deserialize(engine, compiled).map(Code::Command),
                _ => Component::deserialize(engine, compiled).map(Code::Component),
            }
        };
        Ok(Loaded {
            code: code.map_err(|source| LoadError::Map {
                component: name.to_owned(),
                source,
            })?,
            paths: Vec::new(),
        })
    }
}

/// The files of these engines.
struct Files {
    root: PathBuf,
    scratch: PathBuf,
    /// Relative to the root.
    index: PathBuf,
    /// The sha256 of code that has been found whole, and is not changed by anybody since.
    verified: Mutex<HashSet<[u8; 32]>>,
}

impl Files {
    fn entry(&self, key: &CacheKey) -> PathBuf {
        self.root.join(&self.index).join(key.file_name())
    }

    fn code(&self, hash: &str) -> PathBuf {
        self.root.join(CODE).join(hash)
    }

    fn look_up(&self, key: &CacheKey) -> Option<Stored> {
        let path = self.entry(key);
        let entry = Entry::read(&path)?;
        let code = self.code(&entry.code);
        if !code.is_file() {
            return None;
        }
        touch([&path, &code]);
        Some(Stored {
            paths: vec![
                self.index.join(key.file_name()),
                Path::new(CODE).join(&entry.code),
            ],
            trials: entry.trials,
        })
    }

    fn passed(&self, key: &CacheKey, trial: &Trial) {
        let path = self.entry(key);
        // Pruned, or never written: then there is nothing to remember it of.
        let Some(mut entry) = Entry::read(&path) else {
            return;
        };
        entry.passed(trial.as_str());
        if let Err(error) = disk::write(&self.scratch, &path, entry.text().as_bytes()) {
            let error = &error as &dyn std::error::Error;
            tracing::warn!(error, "a component will be tried again after a restart");
        }
    }

    /// The hash of the key's code, and its engine, when the code is there and whole.
    fn find(&self, key: &CacheKey) -> Option<(String, EngineKind)> {
        let path = self.entry(key);
        let Entry {
            code: hash, engine, ..
        } = Entry::read(&path)?;
        let code = self.code(&hash);
        let mut bytes = [0; 32];
        hex::decode_to_slice(&hash, &mut bytes).ok()?;
        if self.verified().contains(&bytes) {
            return code.is_file().then_some((hash, engine));
        }
        match disk::sha256_of(&code) {
            Ok(actual) if actual == hash => {
                self.verified().insert(bytes);
                touch([&path, &code]);
                Some((hash, engine))
            }
            Ok(actual) => {
                tracing::warn!(expected = hash, actual, "damaged compiled code removed");
                drop(std::fs::remove_file(&code));
                None
            }
            Err(_) => None,
        }
    }

    fn put(&self, key: &CacheKey, compiled: &[u8], engine: EngineKind) -> Result<String, LoadError> {
        let code = hex::encode(Sha256::digest(compiled));
        disk::write(&self.scratch, &self.code(&code), compiled)?;
        let entry = Entry::new(code.clone(), engine);
        disk::write(&self.scratch, &self.entry(key), entry.text().as_bytes())?;
        Ok(code)
    }

    fn verified(&self) -> MutexGuard<'_, HashSet<[u8; 32]>> {
        // Nothing panics while it is held.
        self.verified.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Pruning takes the least recently used first.
fn touch(used: [&PathBuf; 2]) {
    used.into_iter().for_each(|path| disk::touch(path));
}

/// Equal for engines that can load one another's code: version, target, settings.
fn engine_hash(engines: &Engines) -> String {
    /// The standard hashers are 64 bits, and are not promised to stay the same.
    struct Hasher(Sha256);
    impl std::hash::Hasher for Hasher {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }
        fn finish(&self) -> u64 {
            let digest = self.0.clone().finalize();
            u64::from_le_bytes(std::array::from_fn(|i| digest[i]))
        }
    }
    let mut hasher = Hasher(Sha256::new());
    for kind in EngineKind::ALL {
        let engine = engines.get(kind);
        std::hash::Hash::hash(&engine.precompile_compatibility_hash(), &mut hasher);
    }
    hex::encode(hasher.0.finalize())
}

#[cfg(test)]
#[path = "cache_tests.rs"]
mod tests;
