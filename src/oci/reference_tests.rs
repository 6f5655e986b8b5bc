use super::*;

const DIGEST: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

fn parse(text: &str) -> Result<Source, ReferenceError> {
    Source::parse(text, Path::new("/base"))
}

fn registry(text: &str) -> Reference {
    match parse(text).unwrap() {
        Source::Registry(reference) => reference,
        other => panic!("{text} is {other:?}"),
    }
}

#[test]
fn docker_defaults_are_filled_in_and_the_display_is_as_written() {
    for (text, host, repository, tag) in [
        ("hello", "index.docker.io", "library/hello", Some("latest")),
        ("owner/hello:v2", "index.docker.io", "owner/hello", Some("v2")),
        (
            "ghcr.io/itowlson/dioxus-test:v1",
            "ghcr.io",
            "itowlson/dioxus-test",
            Some("v1"),
        ),
        ("localhost:5000/hello", "localhost:5000", "hello", Some("latest")),
        ("[::1]:5000/hello:v1", "[::1]:5000", "hello", Some("v1")),
    ] {
        let reference = registry(text);
        assert_eq!(
            (reference.host(), reference.repository(), reference.tag()),
            (host, repository, tag)
        );
        assert_eq!(parse(text).unwrap().to_string(), text);
        assert!(!parse(text).unwrap().is_pinned());
    }
    assert_eq!(
        parse("hello").unwrap().qualified(),
        "docker.io/library/hello:latest"
    );
}

#[test]
fn a_digest_pins_with_or_without_a_tag() {
    for text in [
        format!("ghcr.io/a/b@{DIGEST}"),
        format!("ghcr.io/a/b:v1@{DIGEST}"),
        format!("[::1]:5000/b@{DIGEST}"),
    ] {
        let source = parse(&text).unwrap();
        assert!(source.is_pinned(), "{text}");
        assert_eq!(source.digest().unwrap().to_string(), DIGEST);
        assert_eq!(source.name(), "b");
    }
}

#[test]
fn a_layout_splits_at_the_last_colon_unless_a_path_follows() {
    for (text, path, tag) in [
        ("oci:app", "/base/app", None),
        ("oci:./app:v1", "/base/./app", Some("v1")),
        ("oci:/srv/a:b/app", "/srv/a:b/app", None),
        ("oci:/srv/a:b/app:v1", "/srv/a:b/app", Some("v1")),
    ] {
        let Source::Layout { dir, tag: found, .. } = parse(text).unwrap() else {
            panic!("{text}")
        };
        assert_eq!(
            (dir.as_path(), found.as_deref()),
            (Path::new(path), tag),
            "{text}"
        );
        assert_eq!(parse(text).unwrap().to_string(), text);
    }
}

#[test]
fn an_archive_is_a_file_with_an_optional_tag() {
    let source = parse("oci-archive:../images/shop.tar.gz:v3").unwrap();
    let Source::Archive { file, tag, .. } = &source else {
        panic!("{source:?}")
    };
    assert_eq!(
        (file.as_path(), tag.as_deref()),
        (Path::new("/base/../images/shop.tar.gz"), Some("v3"))
    );
    assert_eq!(source.name(), "shop");
    assert_eq!(parse("oci:/srv/site:v1").unwrap().name(), "site");
}

#[test]
fn a_mistake_is_named_and_a_good_reference_shown() {
    for (text, word) in [
        ("", "empty"),
        ("https://ghcr.io/a/b:v1", "https://"),
        ("docker://ghcr.io/a/b", "docker://"),
        ("oci://ghcr.io/a/b", "oci://"),
        ("ghcr.io/Owner/App:v1", "upper-case"),
        ("ghcr.io/", "no repository"),
        ("ghcr.io/a/b:", "not HOST/REPOSITORY"),
        ("ghcr.io/a b", "white space"),
        ("ghcr.io/a/b@sha256:abcd", "64 lower-case digits"),
        ("ghcr.io/a/b@sha512:abcd", "another algorithm"),
        ("oci:", "names no directory"),
        ("oci:dir:", "unusable tag"),
        ("oci-archive::v1", "names no file"),
    ] {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(word), "{text}: {message}");
        assert!(message.contains("a good one is"), "{message}");
    }
}

#[test]
fn a_pinned_source_means_one_digest_and_displays_as_before() {
    let digest = Digest::of(b"manifest");
    for text in [
        "ghcr.io/owner/app:v1",
        "oci:./app:v1",
        "oci-archive:./app.tar",
        &format!("ghcr.io/owner/app@{}", Digest::of(b"another")),
    ] {
        let source = parse(text).unwrap();
        let pinned = source.pinned_to(digest);
        assert_ne!(pinned, source);
        assert_eq!(
            (pinned.digest(), pinned.to_string()),
            (Some(digest), text.to_owned())
        );
        assert_eq!(pinned.name(), source.name());
    }
    let qualified = parse("ghcr.io/owner/app:v1")
        .unwrap()
        .pinned_to(digest)
        .qualified();
    assert_eq!(qualified, format!("ghcr.io/owner/app@{digest}"));
}
