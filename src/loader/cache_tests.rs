use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const WASM: &str = "(component)";

struct Place {
    dir: tempfile::TempDir,
    engines: Engines,
    made: Arc<AtomicUsize>,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: tempfile::tempdir().unwrap(),
            engines: Engines::testing(),
            made: Arc::default(),
        }
    }

    fn open(&self) -> CompileCache {
        CompileCache::open(self.dir.path(), &self.dir.path().join("tmp"), &self.engines).unwrap()
    }

    async fn get(&self, cache: &CompileCache, key: &str) -> Result<Compiled, LoadError> {
        let made = self.made.clone();
        cache
            .get(&CacheKey::of(&[key]), "web", move || {
                made.fetch_add(1, Ordering::SeqCst);
                Ok(wat::parse_str(WASM).unwrap())
            })
            .await
    }

    fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    fn only_file(&self, dir: &str) -> PathBuf {
        let mut files = std::fs::read_dir(self.dir.path().join(dir)).unwrap();
        let path = files.next().unwrap().unwrap().path();
        assert!(files.next().is_none());
        path
    }
}

#[tokio::test]
async fn a_restart_compiles_nothing() {
    let place = Place::new();
    let first = place.get(&place.open(), "a").await.unwrap();
    drop(first);
    let again = place.get(&place.open(), "a").await.unwrap();
    assert_eq!(place.made(), 1);
    for path in again.paths() {
        assert!(path.is_relative());
        assert!(place.dir.path().join(path).is_file(), "{}", path.display());
    }
    assert_eq!(again.paths().len(), 2);
}

#[tokio::test]
async fn other_keys_compile_on_their_own_but_share_equal_code() {
    let place = Place::new();
    let cache = place.open();
    place.get(&cache, "a").await.unwrap();
    place.get(&cache, "b").await.unwrap();
    assert_eq!(place.made(), 2);
    place.only_file(CODE);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_that_want_one_key_compile_once() {
    let place = Place::new();
    let cache = place.open();
    let all = futures::future::join_all((0..8).map(|_| place.get(&cache, "a"))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(place.made(), 1);
}

#[tokio::test]
async fn damaged_code_is_compiled_again() {
    let place = Place::new();
    drop(place.get(&place.open(), "a").await.unwrap());
    let code = place.only_file(CODE);
    let mut bytes = std::fs::read(&code).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::remove_file(&code).unwrap();
    std::fs::write(&code, bytes).unwrap();

    place.get(&place.open(), "a").await.unwrap();
    assert_eq!(place.made(), 2);
    assert_eq!(
        disk::sha256_of(&code).unwrap(),
        code.file_name().unwrap().to_str().unwrap()
    );
}

#[tokio::test]
async fn removed_code_and_torn_index_entries_are_compiled_again() {
    let place = Place::new();
    drop(place.get(&place.open(), "a").await.unwrap());
    std::fs::remove_file(place.only_file(CODE)).unwrap();
    let loaded = place.get(&place.open(), "a").await.unwrap();
    let index = place.dir.path().join(&loaded.paths()[0]);
    drop(loaded);
    assert_eq!(place.made(), 2);
    std::fs::remove_file(&index).unwrap();
    std::fs::write(&index, "../../etc/passwd").unwrap();
    place.get(&place.open(), "a").await.unwrap();
    assert_eq!(place.made(), 3);
}

#[tokio::test]
async fn code_that_is_whole_but_not_code_is_compiled_again() {
    let place = Place::new();
    let loaded = place.get(&place.open(), "a").await.unwrap();
    let index = place.dir.path().join(&loaded.paths()[0]);
    drop(loaded);
    let junk = b"not code";
    let hash = hex::encode(Sha256::digest(junk));
    std::fs::write(place.dir.path().join(CODE).join(&hash), junk).unwrap();
    std::fs::remove_file(&index).unwrap();
    std::fs::write(&index, format!("{hash} plain")).unwrap();
    place.get(&place.open(), "a").await.unwrap();
    assert_eq!(place.made(), 2);
}

#[tokio::test]
async fn entries_of_other_engines_go_and_shared_code_stays() {
    let place = Place::new();
    let cache = place.open();
    let loaded = place.get(&cache, "a").await.unwrap();
    let shared = loaded.paths()[1]
        .file_name()
        .unwrap()
        .to_str()
        .unwrap()
        .to_owned();
    let old = "0".repeat(64);
    let theirs = "1".repeat(64);
    let other = place.dir.path().join(COMPILED).join(&old);
    std::fs::create_dir(&other).unwrap();
    std::fs::write(other.join("x"), format!("{shared} plain")).unwrap();
    std::fs::write(other.join("y"), &theirs).unwrap();
    std::fs::write(place.dir.path().join(CODE).join(&theirs), "old").unwrap();

    place.open();
    assert!(!other.exists());
    assert!(!place.dir.path().join(CODE).join(&theirs).exists());
    assert!(place.dir.path().join(CODE).join(&shared).exists());
}

#[tokio::test]
async fn a_failure_is_not_remembered() {
    let place = Place::new();
    let cache = place.open();
    let key = CacheKey::of(&["a"]);
    let error = cache.get(&key, "web", || Ok(b"junk".to_vec())).await.unwrap_err();
    assert!(matches!(error, LoadError::Compile { .. }), "{error}");
    place.get(&cache, "a").await.unwrap();
}

#[test]
fn keys_tell_parts_apart() {
    assert_ne!(CacheKey::of(&["ab", "c"]), CacheKey::of(&["a", "bc"]));
    assert_eq!(CacheKey::of(&["ab", "c"]), CacheKey::of(&["ab", "c"]));
}

/// A `make` that says when it begins and goes on when it is told.
struct Held {
    begun: tokio::sync::oneshot::Receiver<()>,
    go_on: std::sync::mpsc::Sender<()>,
}

fn held(made: &Arc<AtomicUsize>) -> (Held, impl FnOnce() -> Result<Vec<u8>, LoadError> + Send + use<>) {
    let (begin, begun) = tokio::sync::oneshot::channel();
    let (go_on, wait) = std::sync::mpsc::channel();
    let made = made.clone();
    let make = move || {
        made.fetch_add(1, Ordering::SeqCst);
        begin.send(()).unwrap();
        wait.recv().unwrap();
        Ok(wat::parse_str(WASM).unwrap())
    };
    (Held { begun, go_on }, make)
}

#[tokio::test]
async fn a_compilation_whose_caller_was_dropped_serves_the_next() {
    let place = Place::new();
    let cache = place.open();
    let (held, make) = held(&place.made);
    let key = CacheKey::of(&["a"]);
    let first = tokio::spawn({
        let (cache, key) = (cache.clone(), key);
        async move { cache.get(&key, "web", make).await.map(drop) }
    });
    held.begun.await.unwrap();
    first.abort();
    assert!(first.await.unwrap_err().is_cancelled());

    let mut second = Box::pin(place.get(&cache, "a"));
    assert!(futures::poll!(&mut second).is_pending());
    held.go_on.send(()).unwrap();
    second.await.unwrap();
    assert_eq!(place.made(), 1);
}

#[tokio::test]
async fn code_that_is_there_does_not_wait_for_compilations() {
    let place = Place::new();
    drop(place.get(&place.open(), "kept").await.unwrap());
    let cache = place.open();
    let cores = cache.0.cores.clone();
    let all = cores.available_permits() as u32;
    let _busy = cores.acquire_many(all).await.unwrap();
    place.get(&cache, "kept").await.unwrap();
    assert_eq!(place.made(), 1);
}

#[tokio::test]
async fn a_disk_that_takes_no_code_stops_nobody() {
    let place = Place::new();
    let cache = place.open();
    let scratch = place.dir.path().join("tmp");
    std::fs::remove_dir(&scratch).unwrap();
    // Nothing can be made in a file, whoever tries.
    std::fs::write(&scratch, "").unwrap();
    let compiled = place.get(&cache, "a").await.unwrap();
    assert!(compiled.paths().is_empty());
    let component = compiled.component("web").unwrap();
    let mut store = wasmtime::Store::new(component.engine(), ());
    wasmtime::component::Linker::new(component.engine())
        .instantiate_async(&mut store, component)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_command_is_kept_as_a_module() {
    let place = Place::new();
    let command = || Ok(wat::parse_str(r#"(module (func (export "_start")))"#).unwrap());
    for _ in 0..2 {
        let cache = place.open();
        let compiled = cache.get(&CacheKey::of(&["c"]), "web", command).await.unwrap();
        let Code::Command(module) = compiled.code() else {
            panic!("a component")
        };
        assert!(module.get_export("_start").is_some());
    }
}
