use std::os::unix::fs::MetadataExt as _;

use super::*;

struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn tree(&self, entries: &[FileEntry]) -> Result<PathBuf, LoadError> {
        materialise(self.0.path(), &self.0.path().join("tmp"), entries)
    }

    fn blob(&self, path: &str, text: &str) -> FileEntry {
        let digest = hex::encode(Sha256::digest(text));
        let file = self.0.path().join(&digest);
        std::fs::write(&file, text).unwrap();
        FileEntry {
            path: path.to_owned(),
            content: FileContent::Blob {
                file,
                digest: format!("sha256:{digest}"),
            },
        }
    }
}

fn inline(path: &str, text: &str) -> FileEntry {
    FileEntry {
        path: path.to_owned(),
        content: FileContent::Inline(text.as_bytes().to_vec()),
    }
}

#[test]
fn a_tree_holds_inline_files_and_linked_blobs() {
    let place = Place::new();
    let blob = place.blob("img/deep/logo.png", "pixels");
    let tree = place
        .tree(&[inline("index.html", "hi"), inline("empty", ""), blob.clone()])
        .unwrap();
    assert_eq!(std::fs::read_to_string(tree.join("index.html")).unwrap(), "hi");
    assert_eq!(std::fs::read_to_string(tree.join("empty")).unwrap(), "");
    let FileContent::Blob { file, .. } = blob.content else {
        unreachable!()
    };
    let linked = tree.join("img/deep/logo.png").metadata().unwrap();
    assert_eq!(linked.ino(), file.metadata().unwrap().ino());
    assert_eq!(std::fs::read_dir(place.0.path().join("tmp")).unwrap().count(), 0);
}

#[test]
fn equal_lists_share_a_tree_and_others_do_not() {
    let place = Place::new();
    let (a, b) = (inline("a", "1"), inline("b", "2"));
    let tree = place.tree(&[a.clone(), b.clone()]).unwrap();
    assert_eq!(place.tree(&[b.clone(), a.clone(), b.clone()]).unwrap(), tree);
    assert_eq!(place.tree(&[place.blob("a", "1"), b]).unwrap(), tree);
    assert_ne!(place.tree(&[a]).unwrap(), tree);
}

#[test]
fn a_tree_that_lost_a_file_is_built_again() {
    let place = Place::new();
    let entries = [inline("a", "1"), inline("b", "2")];
    let tree = place.tree(&entries).unwrap();
    std::fs::remove_file(tree.join("a")).unwrap();
    std::fs::write(tree.join("c"), "").unwrap();
    assert_eq!(place.tree(&entries).unwrap(), tree);
    assert_eq!(std::fs::read_to_string(tree.join("a")).unwrap(), "1");
    assert!(!tree.join("c").exists());
}

#[test]
fn many_at_once_agree() {
    let place = Place::new();
    let entries: Vec<FileEntry> = (0..50).map(|i| inline(&format!("d{i}/f"), "x")).collect();
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..6)
            .map(|_| scope.spawn(|| place.tree(&entries).unwrap()))
            .collect();
        let mut trees: Vec<PathBuf> = all.into_iter().map(|t| t.join().unwrap()).collect();
        trees.dedup();
        assert_eq!(trees.len(), 1);
        assert!(is_whole(&trees[0], &plan(&entries).unwrap()));
    });
}

#[test]
fn windows_separators_are_read_as_slashes() {
    let place = Place::new();
    let tree = place.tree(&[inline("img\\logo.png", "x")]).unwrap();
    assert!(tree.join("img/logo.png").is_file());
}

#[test]
fn paths_that_could_leave_the_tree_are_refused() {
    let place = Place::new();
    for path in [
        "../x",
        "a/../b",
        "/etc/passwd",
        "./x",
        "",
        "C:\\x",
        "a\\..\\b",
        "a\0b",
        "\\\\server\\x",
    ] {
        let error = place.tree(&[inline(path, "x")]).unwrap_err();
        assert!(matches!(error, LoadError::BadMount { .. }), "{path}: {error}");
    }
}

#[test]
fn files_that_exclude_each_other_are_refused() {
    let place = Place::new();
    for pair in [
        [inline("a", "1"), inline("a", "2")],
        [inline("a", "1"), inline("a/b", "2")],
    ] {
        let error = place.tree(&pair).unwrap_err();
        assert!(error.to_string().starts_with("invalid file mount"), "{error}");
    }
}

#[test]
fn a_missing_blob_is_named() {
    let place = Place::new();
    let blob = place.blob("a", "1");
    let FileContent::Blob { file, .. } = &blob.content else {
        unreachable!()
    };
    std::fs::remove_file(file).unwrap();
    let error = place.tree(std::slice::from_ref(&blob)).unwrap_err();
    assert!(error.to_string().contains(&file.display().to_string()), "{error}");
}

#[test]
fn a_tree_with_another_file_or_other_content_is_damaged() {
    let place = Place::new();
    let tree = place
        .tree(&[inline("a.txt", "a"), place.blob("img/b.txt", "b")])
        .unwrap();
    assert!(is_undamaged(&tree));
    std::fs::write(tree.join("more.txt"), "").unwrap();
    assert!(!is_undamaged(&tree));
    std::fs::remove_file(tree.join("more.txt")).unwrap();
    std::fs::remove_file(tree.join("a.txt")).unwrap();
    std::fs::write(tree.join("a.txt"), "b").unwrap();
    assert!(!is_undamaged(&tree));
    std::fs::write(tree.join("a.txt"), "a").unwrap();
    assert!(is_undamaged(&tree));
}
