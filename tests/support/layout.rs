//! OCI image layouts on disk.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::app::App;
use super::artifact::{Artifact, Shape};

/// A layout in a directory of its own, removed at the end. A tag that is set again has moved.
pub struct Layout {
    directory: TempDir,
    tags: BTreeMap<String, Value>,
}

impl Default for Layout {
    fn default() -> Self {
        Self::new()
    }
}

impl Layout {
    pub fn new() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        fs::create_dir_all(directory.path().join("blobs/sha256")).expect("a directory");
        fs::write(
            directory.path().join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .expect("a file");
        let layout = Self {
            directory,
            tags: BTreeMap::new(),
        };
        layout.write_index();
        layout
    }

    /// With one app, in the newest shape, as `v1`.
    pub fn with(app: &App) -> Self {
        let mut layout = Self::new();
        layout.add("v1", app);
        layout
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// As an app file names it.
    pub fn reference(&self, tag: &str) -> String {
        format!("oci:{}:{tag}", self.path().display())
    }

    /// The app file that serves a tag on any port.
    pub fn file(&self, tag: &str) -> Value {
        json!({"reference": self.reference(tag), "address": "127.0.0.1:0"})
    }

    /// Packs an app in the newest shape; answers with the manifest's digest.
    pub fn add(&mut self, tag: &str, app: &App) -> String {
        self.tag(tag, &Artifact::of(app, Shape::Spin4))
    }

    pub fn tag(&mut self, tag: &str, artifact: &Artifact) -> String {
        for (name, blob) in &artifact.blobs {
            self.write_blob(name, blob);
        }
        self.write_blob(&artifact.digest(), &artifact.manifest);
        let entry = json!({
            "mediaType": artifact.media_type, "digest": artifact.digest(), "size": artifact.manifest.len(),
            "annotations": {"org.opencontainers.image.ref.name": tag},
        });
        self.tags.insert(tag.into(), entry);
        self.write_index();
        artifact.digest()
    }

    /// The same as a tar, beside nothing else: for `oci-archive:`.
    pub fn archive(&self, into: &Path) -> PathBuf {
        let file = into.join("layout.tar");
        let mut builder = tar::Builder::new(fs::File::create(&file).expect("a file"));
        builder
            .append_dir_all(".", self.path())
            .expect("the archive takes it");
        builder.finish().expect("the archive ends");
        file
    }

    fn write_blob(&self, digest: &str, content: &[u8]) {
        let name = digest.strip_prefix("sha256:").expect("a sha256 digest");
        fs::write(self.path().join("blobs/sha256").join(name), content).expect("a blob");
    }

    /// Renamed into place: a daemon may be reading.
    fn write_index(&self) {
        let manifests: Vec<_> = self.tags.values().collect();
        let index = json!({"schemaVersion": 2, "manifests": manifests});
        let temporary = self.path().join("index.json.new");
        fs::write(&temporary, index.to_string()).expect("an index");
        fs::rename(&temporary, self.path().join("index.json")).expect("an index");
    }
}
