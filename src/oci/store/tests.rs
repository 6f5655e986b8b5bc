use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

/// Far more than any test writes.
const AMPLE: u64 = 1 << 20;

fn store() -> (TempDir, Store) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    (dir, store)
}

/// Makes the blob look as if it had last been used `seconds` ago.
fn age(path: &Path, seconds: u64) {
    let then = SystemTime::now() - Duration::from_secs(seconds);
    let times = FileTimes::new().set_accessed(then).set_modified(then);
    File::open(path).unwrap().set_times(times).unwrap();
}

fn overwrite(path: &Path, bytes: &[u8]) {
    std::fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

#[test]
fn what_is_put_is_read_back_and_cannot_be_written_to() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    assert_eq!(store.read(&digest).unwrap().unwrap(), b"hello");
    let mode = std::fs::metadata(store.path(&digest))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o444);
    assert_eq!(store.read(&Digest::of(b"other")).unwrap(), None);
}

#[test]
fn content_with_another_digest_never_becomes_visible() {
    let (_dir, store) = store();
    let expected = Digest::of(b"expected");
    let mut writer = store.writer(AMPLE).unwrap();
    writer.write(b"something else").unwrap();
    assert!(matches!(
        writer.finish(&expected),
        Err(StoreError::Mismatch { .. })
    ));
    assert!(!store.contains(&expected, None));
    assert_eq!(std::fs::read_dir(store.root().join(BLOBS)).unwrap().count(), 0);
}

#[test]
fn content_above_its_limit_is_refused_while_it_is_written() {
    let (_dir, store) = store();
    let mut writer = store.writer(4).unwrap();
    writer.write(b"1234").unwrap();
    assert!(matches!(
        writer.write(b"5"),
        Err(StoreError::TooLarge { limit: 4 })
    ));
}

#[test]
fn a_writer_that_restarts_holds_only_what_came_after() {
    let (_dir, store) = store();
    let mut writer = store.writer(AMPLE).unwrap();
    writer.write(b"first").unwrap();
    writer.restart().unwrap();
    writer.write(b"second").unwrap();
    let digest = writer.finish(&Digest::of(b"second")).unwrap().commit().unwrap();
    assert_eq!(store.read(&digest).unwrap().unwrap(), b"second");
}

#[test]
fn a_damaged_blob_is_noticed_and_removed() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    overwrite(&store.path(&digest), b"");
    assert!(!store.contains(&digest, None), "an empty file is not the blob");

    let digest = store.put(b"hello").unwrap();
    overwrite(&store.path(&digest), b"hellO");
    assert!(matches!(store.read(&digest), Err(StoreError::Mismatch { .. })));
    assert_eq!(store.read(&digest).unwrap(), None);
}

#[test]
fn the_empty_blob_is_not_a_damaged_one() {
    let (_dir, store) = store();
    let digest = store.put(b"").unwrap();
    assert!(store.contains(&digest, None));
}

#[test]
fn leftovers_of_dead_processes_are_swept_and_those_of_living_ones_are_not() {
    let (dir, first) = store();
    let mut writer = first.writer(AMPLE).unwrap();
    writer.write(b"half").unwrap();
    let dead = dir.path().join("tmp/dead");
    std::fs::create_dir(&dead).unwrap();
    std::fs::write(dead.join("leftover"), b"x").unwrap();

    let second = Store::open(dir.path()).unwrap();

    assert!(!dead.exists());
    assert_ne!(first.scratch(), second.scratch());
    let digest = writer.finish(&Digest::of(b"half")).unwrap().commit().unwrap();
    assert!(second.contains(&digest, Some(4)));
}

#[test]
fn a_session_ends_with_its_store() {
    let (_dir, store) = store();
    let scratch = store.scratch().to_owned();
    drop(store);
    assert!(!scratch.exists());
}

#[test]
fn pruning_removes_the_least_recently_used_first() {
    let (_dir, store) = store();
    let digests: Vec<Digest> = [b"aaaa", b"bbbb", b"cccc"]
        .iter()
        .map(|bytes| store.put(*bytes).unwrap())
        .collect();
    for (digest, seconds) in digests.iter().zip([300, 200, 100]) {
        age(&store.path(digest), seconds);
    }
    store.touch(&digests[0]);

    let pruned = store.prune(8).unwrap();

    assert_eq!(
        (pruned.before, pruned.after, pruned.removed, pruned.busy),
        (12, 8, 1, false)
    );
    let kept: Vec<bool> = digests
        .iter()
        .map(|digest| store.contains(digest, None))
        .collect();
    assert_eq!(kept, [true, false, true]);
}

#[test]
fn pruning_leaves_what_any_owner_has_pinned() {
    let (dir, store) = store();
    let (pinned, free) = (store.put(b"pinned").unwrap(), store.put(b"free").unwrap());
    for tree in ["trees/kept", "trees/gone"] {
        std::fs::create_dir_all(dir.path().join(tree)).unwrap();
        std::fs::write(dir.path().join(tree).join("index.html"), b"page").unwrap();
    }
    std::fs::create_dir(dir.path().join("code")).unwrap();
    std::fs::write(dir.path().join("code").join(pinned.hex()), b"machine code").unwrap();
    let other = Store::open(dir.path()).unwrap();
    other
        .pin(
            "/var/lib/other",
            "hello running",
            &[pinned.into(), Pin::Path("trees/kept".into())],
        )
        .unwrap();

    let pruned = store.prune(0).unwrap();

    assert_eq!(pruned.removed, 2);
    assert!(store.contains(&pinned, None) && !store.contains(&free, None));
    assert!(dir.path().join("trees/kept").exists() && !dir.path().join("trees/gone").exists());
    assert!(dir.path().join("code").join(pinned.hex()).exists());

    other.unpin("/var/lib/other", "hello running").unwrap();
    store.prune(0).unwrap();
    assert!(!store.contains(&pinned, None));
}

#[test]
fn pins_of_an_earlier_run_end_unless_they_are_kept() {
    let (_dir, store) = store();
    let (a, b) = (store.put(b"a").unwrap(), store.put(b"b").unwrap());
    store.pin("owner", "a", &[a.into()]).unwrap();
    store.pin("owner", "b/../weird name", &[b.into()]).unwrap();
    store.retain_pins("owner", ["b/../weird name"]).unwrap();
    store.prune(0).unwrap();
    assert!(!store.contains(&a, None) && store.contains(&b, None));
}

#[test]
fn a_pin_cannot_name_a_path_outside_the_store() {
    let (_dir, store) = store();
    for path in ["../x", "/etc", "trees/../../x", ""] {
        assert!(
            matches!(
                store.pin("o", "n", &[Pin::Path(path.into())]),
                Err(StoreError::BadPin(_))
            ),
            "{path}"
        );
    }
}

#[test]
fn a_lease_of_any_process_holds_off_pruning() {
    let (dir, store) = store();
    let digest = store.put(b"fresh").unwrap();
    let lease = Store::open(dir.path()).unwrap().lease().unwrap();
    assert!(store.prune(0).unwrap().busy);
    assert!(store.contains(&digest, None));
    drop(lease);
    assert_eq!(store.prune(0).unwrap().removed, 1);
}

#[test]
fn hard_links_are_counted_once() {
    let (dir, store) = store();
    let digest = store.put(b"12345678").unwrap();
    std::fs::create_dir_all(dir.path().join("trees/t")).unwrap();
    std::fs::hard_link(store.path(&digest), dir.path().join("trees/t/file")).unwrap();
    assert_eq!(store.prune(u64::MAX).unwrap().before, 8);
}

#[test]
fn a_good_blob_survives_a_descriptor_that_lies_about_its_size() {
    let (_dir, store) = store();
    let digest = store.put(b"hello").unwrap();
    assert!(store.contains(&digest, Some(4)));
    assert_eq!(store.read(&digest).unwrap().unwrap(), b"hello");
}
