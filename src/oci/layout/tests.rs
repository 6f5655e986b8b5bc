use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::super::testing::layout::{LayoutDir, digest_of, tagged};
use super::*;

fn image(layout: &LayoutDir, content: &str) -> Value {
    let config = layout.blob("application/json", content.as_bytes());
    layout.image(&config, &[])
}

fn resolve(source: &Source) -> Result<Digest, OciError> {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let limits = Limits::default();
    let (Source::Layout { tag, .. } | Source::Archive { tag, .. }) = source else {
        panic!("{source}")
    };
    Layout::open(source, &store, &limits)?.resolve(tag.as_deref(), &limits)
}

#[test]
fn the_only_entry_needs_no_tag_and_several_need_one_or_latest() {
    let layout = LayoutDir::new();
    let (one, two) = (image(&layout, "one"), image(&layout, "two"));
    layout.index(&[tagged(one.clone(), "v1")]);
    assert_eq!(resolve(&layout.source(None)).unwrap(), digest_of(&one));

    layout.index(&[tagged(one.clone(), "v1"), tagged(two.clone(), "v2")]);
    assert_eq!(resolve(&layout.source(Some("v2"))).unwrap(), digest_of(&two));
    let message = resolve(&layout.source(None)).unwrap_err().to_string();
    assert!(message.contains("v1, v2"), "{message}");
    let message = resolve(&layout.source(Some("v3"))).unwrap_err().to_string();
    assert!(
        message.contains("\"v3\"") && message.contains("v1, v2"),
        "{message}"
    );

    layout.index(&[tagged(one, "v1"), tagged(two.clone(), "latest")]);
    assert_eq!(resolve(&layout.source(None)).unwrap(), digest_of(&two));
}

#[test]
fn a_tag_may_be_in_a_nested_index_or_a_whole_reference() {
    let layout = LayoutDir::new();
    let (one, two) = (image(&layout, "one"), image(&layout, "two"));
    let nested = layout.nested(&[tagged(one.clone(), "example.org/app:v1"), tagged(two, "v2")]);
    layout.index(&[nested]);
    assert_eq!(resolve(&layout.source(Some("v1"))).unwrap(), digest_of(&one));
}

#[test]
fn what_is_not_a_layout_says_what_is_missing() {
    let empty = tempfile::tempdir().unwrap();
    let source = Source::parse(&format!("oci:{}", empty.path().display()), Path::new("/")).unwrap();
    assert!(resolve(&source).unwrap_err().to_string().contains("oci-layout"));

    let layout = LayoutDir::new();
    assert!(matches!(
        resolve(&layout.source(None)),
        Err(OciError::NotFound { .. })
    ));
    layout.index(&[]);
    assert!(
        resolve(&layout.source(None))
            .unwrap_err()
            .to_string()
            .contains("empty")
    );
    std::fs::write(layout.path().join(MARKER), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(
        resolve(&layout.source(None))
            .unwrap_err()
            .to_string()
            .contains("2.0.0")
    );
}

fn archive(layout: &LayoutDir, gzip: bool) -> (TempDir, Source) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.tar");
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all(".", layout.path()).unwrap();
    let bytes = tar.into_inner().unwrap();
    if gzip {
        let mut gzip = GzEncoder::new(File::create(&file).unwrap(), Compression::fast());
        std::io::Write::write_all(&mut gzip, &bytes).unwrap();
        gzip.finish().unwrap();
    } else {
        std::fs::write(&file, bytes).unwrap();
    }
    let source = Source::parse("oci-archive:app.tar:v1", dir.path()).unwrap();
    (dir, source)
}

#[test]
fn a_tar_is_read_like_the_directory_plain_or_gzipped() {
    let layout = LayoutDir::new();
    let one = image(&layout, "one");
    layout.index(&[tagged(one.clone(), "v1")]);
    for gzip in [false, true] {
        let (_dir, source) = archive(&layout, gzip);
        assert_eq!(resolve(&source).unwrap(), digest_of(&one));
        let store_dir = tempfile::tempdir().unwrap();
        let store = Store::open(store_dir.path()).unwrap();
        let opened = Layout::open(&source, &store, &Limits::default()).unwrap();
        let manifest = opened.manifest(&digest_of(&one), 1 << 20).unwrap();
        assert_eq!(Digest::of(&manifest), digest_of(&one));
    }
}

#[test]
fn a_gzipped_tar_is_unzipped_within_the_limit_and_a_damaged_one_refused() {
    let layout = LayoutDir::new();
    layout.index(&[]);
    let (dir, source) = archive(&layout, true);
    let store = Store::open(dir.path()).unwrap();
    let limits = Limits {
        archive_expansion: 100,
        ..Limits::default()
    };
    assert!(matches!(
        Layout::open(&source, &store, &limits),
        Err(OciError::TooLarge { .. })
    ));

    std::fs::write(
        dir.path().join("app.tar"),
        json!("not a tar").to_string().repeat(100),
    )
    .unwrap();
    let error = Layout::open(&source, &store, &Limits::default()).unwrap_err();
    assert!(matches!(error, OciError::BadLayout { .. }), "{error:?}");
}
