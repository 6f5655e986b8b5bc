//! Every shape of artifact, pulled from layouts.

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use super::super::manifest;
use super::super::testing::layout::{LayoutDir, for_platform, tagged};
use super::super::testing::{Told, config, fixture, puller};
use super::*;

const DATA: &str = "application/vnd.wasm.content.layer.v1+data";
const IMAGE_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LOCK: &[u8] = br#"{"spin_lock_version": 0, "components": []}"#;

fn lay_out(build: impl FnOnce(&LayoutDir) -> Value) -> LayoutDir {
    let layout = LayoutDir::new();
    let entry = build(&layout);
    layout.index(&[tagged(entry, "v1")]);
    layout
}

async fn pull(layout: &LayoutDir) -> Result<Artifact, OciError> {
    let (_dir, puller) = puller(config());
    pull_with(&puller, &layout.source(Some("v1"))).await
}

async fn pull_with(puller: &Puller, source: &Source) -> Result<Artifact, OciError> {
    let digest = puller.resolve(source).await?;
    puller.pull(source, &digest).await
}

fn locked(artifact: &Artifact) -> &[u8] {
    match &artifact.config {
        AppConfig::Locked { json, .. } => json,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn what_spin_pushed_is_pulled_and_survives_its_layout() {
    let copy = tempfile::tempdir().unwrap();
    for (name, tag) in [("hello-v1", "v1"), ("site-v1", "v1"), ("site-archive", "archive")] {
        let (_dir, puller) = puller(config());
        let layout = copy.path().join(name);
        let copied = std::process::Command::new("cp")
            .arg("-r")
            .args([fixture(name), layout.clone()])
            .status()
            .unwrap();
        assert!(copied.success());
        let source = Source::parse(&format!("oci:{name}:{tag}"), copy.path()).unwrap();
        let first = pull_with(&puller, &source).await.unwrap();
        for digest in wanted_digests(locked(&first)) {
            assert!(
                puller.store().read(&digest).unwrap().is_some(),
                "{name}: {digest}"
            );
            assert!(
                first.blobs.contains(&digest),
                "{name}: {digest} is not to be pinned"
            );
        }
        std::fs::remove_dir_all(&layout).unwrap();
        let offline = puller.pull(&source, &first.digest).await.unwrap();
        assert_eq!((offline.config, offline.blobs), (first.config, first.blobs));
    }
}

/// Every digest that a locked app names, without those whose content it carries itself.
fn wanted_digests(locked: &[u8]) -> Vec<Digest> {
    fn walk(value: &Value, found: &mut Vec<Digest>) {
        if let Some(digest) = value.get("digest").and_then(Value::as_str)
            && value.get("inline").is_none()
        {
            found.push(Digest::parse(digest).unwrap());
        }
        match value {
            Value::Array(items) => items.iter().for_each(|item| walk(item, found)),
            Value::Object(members) => members.values().for_each(|item| walk(item, found)),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(&serde_json::from_slice(locked).unwrap(), &mut found);
    assert!(!found.is_empty());
    found
}

#[tokio::test]
async fn the_locked_app_may_be_the_config_as_in_spin_1() {
    let layout = lay_out(|layout| {
        let layers = [
            layout.blob(manifest::WASM[0], b"\0asm1"),
            layout.blob(DATA, b"asset"),
            layout.blob(DATA, b""),
        ];
        layout.image(&layout.blob(manifest::LOCKED_APP, LOCK), &layers)
    });
    let artifact = pull(&layout).await.unwrap();
    assert_eq!(locked(&artifact), LOCK);
    // The manifest, the config and three layers.
    assert_eq!(artifact.blobs.len(), 5);
}

#[tokio::test]
async fn a_config_of_any_type_that_is_a_locked_app_counts() {
    let layout = lay_out(|layout| {
        let layers = [
            layout.blob(manifest::WASM[0], b"\0asm1"),
            layout.blob(DATA, b"asset"),
        ];
        layout.image(&layout.blob("application/octet-stream", LOCK), &layers)
    });
    assert_eq!(locked(&pull(&layout).await.unwrap()), LOCK);
}

#[tokio::test]
async fn a_wasm_package_is_a_plain_app_named_after_its_source() {
    for (media_type, bytes) in [
        (manifest::WASM[1], &b"\0asm"[..]),
        (manifest::WASM[0], b"x"),
        ("unknown/type", b"\0asmX"),
    ] {
        let layout = lay_out(|layout| {
            let config = layout.blob(
                "application/vnd.wasm.config.v0+json",
                br#"{"architecture":"wasm"}"#,
            );
            layout.image(&config, &[layout.blob(media_type, bytes)])
        });
        let artifact = pull(&layout).await.unwrap();
        let name = layout.path().file_name().unwrap().to_str().unwrap().to_owned();
        assert_eq!(
            artifact.config,
            AppConfig::PlainWasm {
                digest: Digest::of(bytes),
                name
            }
        );
    }
}

#[tokio::test]
async fn what_is_no_app_says_so_before_anything_large_is_fetched() {
    let layer = b"a large layer";
    let layout = lay_out(|layout| {
        let config = layout.blob(IMAGE_CONFIG, br#"{"architecture":"amd64"}"#);
        layout.image(
            &config,
            &[layout.blob("tar", layer), layout.blob("tar", b"another")],
        )
    });
    let (_dir, puller) = puller(config());
    let message = pull_with(&puller, &layout.source(None))
        .await
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("single layer in an OCI package, found 2 layers"),
        "{message}"
    );
    assert!(!puller.store().contains(&Digest::of(layer), None));

    let layout = lay_out(|layout| {
        layout.image(
            &layout.blob(IMAGE_CONFIG, b"{}"),
            &[layout.blob("application/x-tar", b"files")],
        )
    });
    let message = pull(&layout).await.unwrap_err().to_string();
    assert!(
        message.contains("application/x-tar") && message.contains("not Wasm"),
        "{message}"
    );

    let layout = lay_out(|layout| {
        layout.image(
            &layout.blob(IMAGE_CONFIG, b"{}"),
            &[layout.blob(manifest::LOCKED_APP, b"{}")],
        )
    });
    assert!(
        pull(&layout)
            .await
            .unwrap_err()
            .to_string()
            .contains("spin_lock_version")
    );
}

#[tokio::test]
async fn an_index_leads_to_its_wasm_image() {
    let layout = lay_out(|layout| {
        let image = layout.image(&layout.blob(manifest::LOCKED_APP, LOCK), &[]);
        let other = layout.image(&layout.blob(IMAGE_CONFIG, b"{}"), &[]);
        layout.nested(&[
            for_platform(other, "linux", "amd64"),
            for_platform(image, "wasip1", "wasm"),
        ])
    });
    let artifact = pull(&layout).await.unwrap();
    assert_eq!(locked(&artifact), LOCK);
    // The index is the identity, and both manifests are to be kept.
    assert_eq!(artifact.blobs.len(), 3);
    assert!(artifact.blobs.contains(&artifact.digest));
}

fn archive_of(files: &[&[u8]]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    for (number, bytes) in files.iter().enumerate() {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, format!("./file-{number}"), *bytes)
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

#[tokio::test]
async fn an_archive_is_unpacked_once_and_again_when_a_file_of_it_is_gone() {
    let layout = lay_out(|layout| {
        let layers = [
            layout.blob(manifest::ARCHIVE, &archive_of(&[b"one", b"two"])),
            layout.blob(manifest::LOCKED_APP, LOCK),
        ];
        layout.image(&layout.blob(IMAGE_CONFIG, b"{}"), &layers)
    });
    let told = Told::default();
    let (_dir, puller) = puller(PullerConfig {
        progress: Arc::new(told.clone()),
        ..config()
    });
    let source = layout.source(None);
    let artifact = pull_with(&puller, &source).await.unwrap();
    assert!(artifact.blobs.contains(&Digest::of(b"one")));
    pull_with(&puller, &source).await.unwrap();
    assert_eq!(
        told.0.lock().unwrap().len(),
        1,
        "the second pull had nothing to fetch"
    );

    std::fs::remove_file(puller.store().path(&Digest::of(b"two"))).unwrap();
    pull_with(&puller, &source).await.unwrap();
    assert_eq!(told.0.lock().unwrap().len(), 2);
    assert_eq!(puller.store().read(&Digest::of(b"two")).unwrap().unwrap(), b"two");
}

#[tokio::test]
async fn damaged_content_is_noticed_and_fetched_again() {
    let layout = lay_out(|layout| layout.image(&layout.blob(manifest::LOCKED_APP, LOCK), &[]));
    let (_dir, puller) = puller(config());
    let source = layout.source(None);
    let first = pull_with(&puller, &source).await.unwrap();
    for digest in [first.digest, Digest::of(LOCK)] {
        let path = puller.store().path(&digest);
        let damaged = vec![b'#'; std::fs::read(&path).unwrap().len()];
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(locked(&puller.pull(&source, &first.digest).await.unwrap()), LOCK);
    }
}

#[tokio::test]
async fn content_that_was_altered_in_the_layout_is_refused() {
    let layout = lay_out(|layout| {
        layout.image(
            &layout.blob(manifest::LOCKED_APP, LOCK),
            &[layout.blob(DATA, b"asset")],
        )
    });
    std::fs::write(
        layout
            .path()
            .join("blobs/sha256")
            .join(Digest::of(b"asset").hex()),
        b"ASSET",
    )
    .unwrap();
    let error = pull(&layout).await.unwrap_err();
    assert!(matches!(error, OciError::DigestMismatch { .. }), "{error:?}");
    let source = layout.source(None);
    let absent = Digest::of(b"nothing");
    let (_dir, puller) = puller(config());
    assert!(matches!(
        puller.pull(&source, &absent).await,
        Err(OciError::NotFound { .. })
    ));
}

#[tokio::test]
async fn limits_are_checked_before_anything_is_fetched() {
    let layout = lay_out(|layout| {
        let layers = [layout.blob(DATA, &[1; 100]), layout.blob(DATA, &[2; 100])];
        layout.image(&layout.blob(manifest::LOCKED_APP, LOCK), &layers)
    });
    for (limits, words) in [
        (
            Limits {
                layers: 1,
                ..Limits::default()
            },
            "1 layers",
        ),
        (
            Limits {
                blob: 99,
                ..Limits::default()
            },
            "99 bytes",
        ),
        (
            Limits {
                total: 200,
                ..Limits::default()
            },
            "200 bytes in all",
        ),
        (
            Limits {
                config: 10,
                ..Limits::default()
            },
            "10 bytes",
        ),
        (
            Limits {
                manifest: 10,
                ..Limits::default()
            },
            "10 bytes",
        ),
    ] {
        let (_dir, puller) = puller(PullerConfig { limits, ..config() });
        let message = pull_with(&puller, &layout.source(None))
            .await
            .unwrap_err()
            .to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn what_was_pulled_is_not_pruned_while_its_lease_lives_or_it_is_pinned() {
    let layout = lay_out(|layout| {
        layout.image(
            &layout.blob(manifest::LOCKED_APP, LOCK),
            &[layout.blob(DATA, b"a")],
        )
    });
    let (_dir, puller) = puller(config());
    let artifact = pull_with(&puller, &layout.source(None)).await.unwrap();
    let store = puller.store();
    assert!(store.prune(0).unwrap().busy);
    let pins: Vec<super::super::Pin> = artifact.blobs.iter().map(Into::into).collect();
    store.pin("daemon", "app", &pins).unwrap();
    let (digest, blobs) = (artifact.digest, artifact.blobs.clone());
    drop(artifact);
    assert_eq!(pruned(store), 0);
    store.unpin("daemon", "app").unwrap();
    assert_eq!(pruned(store), blobs.len());
    assert!(!store.contains(&digest, None));
}

/// How many entries were removed. A process that another test starts has the lease for the moment until it is itself.
fn pruned(store: &Store) -> usize {
    loop {
        let pruned = store.prune(0).unwrap();
        if !pruned.busy {
            return pruned.removed;
        }
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn progress_tells_the_reference_and_the_bytes_fetched() {
    let told = Told::default();
    let layout = lay_out(|layout| {
        layout.image(
            &layout.blob(manifest::LOCKED_APP, LOCK),
            &[layout.blob(DATA, &[1; 50])],
        )
    });
    let (_dir, puller) = puller(PullerConfig {
        progress: Arc::new(told.clone()),
        ..config()
    });
    let source = layout.source(None);
    pull_with(&puller, &source).await.unwrap();
    assert_eq!(*told.0.lock().unwrap(), [format!("{source} {}", LOCK.len() + 50)]);
}
