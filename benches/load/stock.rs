//! Artifacts, and a cache of compiled code, that all daemons of a run use: the first to name an artifact compiles it.

use std::cell::Cell;
use std::path::PathBuf;

use serde_json::json;
use tempfile::TempDir;

use crate::app::App;
use crate::artifact::{self, Hello};
use crate::daemon::Home;

pub struct Stock {
    root: TempDir,
    /// Artifacts of [`Stock::new_artifact`] so far.
    made: Cell<u64>,
}

impl Stock {
    pub fn new() -> Self {
        Self {
            root: TempDir::new().expect("a temporary directory"),
            made: Cell::default(),
        }
    }

    /// For a daemon that finds in its cache what others have compiled.
    pub fn home(&self) -> Home {
        Home::new(&self.root.path().join("cache"))
    }

    /// A reference to hello.
    pub fn hello(&self, hello: Hello) -> String {
        let name = match hello {
            Hello::Small => "small",
            Hello::Rust => "rust",
            Hello::P3 => "p3",
        };
        let layout = self.directory(name);
        artifact::pack(&layout, &hello.bytes(), json!({}))
    }

    /// A reference to the `index`th of many components, which are hello and differ in nothing but their digests.
    pub fn different(&self, index: usize) -> String {
        let layout = self.root.path().join("different").join(index.to_string());
        let reference = format!("oci:{}:v1", layout.display());
        if layout.exists() {
            return reference;
        }
        artifact::pack(
            &layout,
            &artifact::marked(&Hello::Small.bytes(), index as u64),
            json!({}),
        )
    }

    /// A reference to a guest of the tests, with what `metadata` grants.
    pub fn guest(&self, name: &str, metadata: serde_json::Value) -> String {
        artifact::pack(&self.directory(name), &artifact::guest(name), metadata)
    }

    /// A component that no daemon of this run has seen.
    pub fn new_component(&self, component: &[u8]) -> Vec<u8> {
        /// Marks of [`Stock::different`] are below it.
        const FIRST: u64 = 1 << 32;
        self.made.set(self.made.get() + 1);
        artifact::marked(component, FIRST + self.made.get())
    }

    /// The same in a layout: a reference.
    pub fn new_artifact(&self, component: &[u8]) -> String {
        let component = self.new_component(component);
        let layout = self.directory(&format!("new-{}", self.made.get()));
        artifact::pack(&layout, &component, json!({}))
    }

    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.root.path().join(name);
        std::fs::create_dir_all(&directory).expect("a writable directory");
        directory
    }

    /// A small app on an address of its own.
    pub fn app(&self) -> App {
        App::new(&self.hello(Hello::Small))
    }
}
