//! A component of a locked app, from stored content to what can be linked.

use std::path::{Path, PathBuf};

use crate::app::{AppError, Component, FileContent as Content, FileMount};
use crate::oci::{Digest, Pin, Store};
use crate::runtime::Runtime;

use super::cache::{CacheKey, CompileCache, Compiled};
use super::command::command_module;
use super::compose::{Dependency, compose};
use super::error::LoadError;
use super::files::{FileContent, FileEntry, materialise};
use super::rename::rename_candidate;

/// Why a component of an app can't be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    #[error(transparent)]
    App(#[from] AppError),
    #[error("the component `{component}` can't be loaded")]
    Load { component: String, source: LoadError },
    #[error("the content of the component `{component}` can't be read from the store")]
    Store {
        component: String,
        source: crate::oci::StoreError,
    },
    #[error("the content {digest} of the component `{component}` is not in the artifact: push the app again")]
    Missing { component: String, digest: Digest },
    #[error("the task that laid out the files of the component `{0}` failed")]
    Task(String),
}

/// Loads components for one engine from one store. A cheap handle.
#[derive(Clone)]
pub struct Loader {
    store: Store,
    cache: CompileCache,
}

/// A component that can be linked, and what it is given.
pub struct LoadedComponent {
    pub compiled: Compiled,
    /// The directory that the guest sees at `/`; none for a component without files.
    pub files: Option<PathBuf>,
    /// What of the store it uses while it runs, besides the artifact's own blobs.
    pub pins: Vec<Pin>,
}

impl Loader {
    /// Blocks on the disk.
    pub fn new(runtime: &Runtime, store: Store) -> Result<Self, LoadError> {
        let cache = CompileCache::open(store.root(), store.scratch(), runtime.engine())?;
        Ok(Self { store, cache })
    }

    /// Loads one component: from the compilation cache, or through every step that makes it one.
    pub async fn load(&self, component: &Component) -> Result<LoadedComponent, ComponentError> {
        component.check_trigger_dependencies()?;
        let compiled = self.compile(component).await?;
        let files = component.files()?;
        let files = if files.is_empty() {
            None
        } else {
            Some(self.lay_out(component, files).await?)
        };
        let mut pins: Vec<Pin> = compiled.paths().iter().cloned().map(Pin::Path).collect();
        let relative = |path: &Path| path.strip_prefix(self.store.root()).map(Path::to_owned).ok();
        pins.extend(files.as_deref().and_then(relative).map(Pin::Path));
        Ok(LoadedComponent {
            compiled,
            files,
            pins,
        })
    }

    async fn compile(&self, component: &Component) -> Result<Compiled, ComponentError> {
        let id = &component.id;
        let root = self.stored(id, component.wasm()?)?;
        let mut parts = vec![root.to_string()];
        let mut dependencies = Vec::new();
        for (name, dependency) in &component.dependencies {
            let digest = self.stored(id, dependency.wasm(id)?)?;
            parts.extend([
                name.clone(),
                digest.to_string(),
                format!("{:?}", (&dependency.export, &dependency.inherit)),
            ]);
            dependencies.push((
                name.clone(),
                digest,
                dependency.export.clone(),
                dependency.inherit.clone(),
            ));
        }
        let key = CacheKey::of(&parts);
        let store = self.store.clone();
        let make = move || {
            let root = read(&store, &root)?;
            if dependencies.is_empty()
                && let Some(command) = command_module(&root)?
            {
                return Ok(command.into_owned());
            }
            let dependencies = dependencies
                .into_iter()
                .map(|(name, digest, export, inherit)| {
                    let wasm = read(&store, &digest)?;
                    Ok(Dependency {
                        name,
                        wasm,
                        export,
                        inherit,
                    })
                })
                .collect::<Result<Vec<_>, LoadError>>()?;
            let composed = compose(root, dependencies)?;
            Ok(rename_candidate(&composed)?.into_owned())
        };
        let load = |source| ComponentError::Load {
            component: id.clone(),
            source,
        };
        self.cache.get(&key, id, make).await.map_err(load)
    }

    async fn lay_out(&self, component: &Component, files: Vec<FileMount>) -> Result<PathBuf, ComponentError> {
        let mut entries = Vec::with_capacity(files.len());
        for FileMount { path, content } in files {
            let content = match content {
                Content::Inline(bytes) => FileContent::Inline(bytes),
                Content::Stored(digest) => {
                    let digest = self.stored(&component.id, digest)?;
                    FileContent::Blob {
                        file: self.store.path(&digest),
                        digest: digest.to_string(),
                    }
                }
            };
            entries.push(FileEntry {
                path: path.to_string_lossy().into_owned(),
                content,
            });
        }
        let store = self.store.clone();
        let laid_out =
            tokio::task::spawn_blocking(move || materialise(store.root(), store.scratch(), &entries)).await;
        let id = || component.id.clone();
        laid_out
            .map_err(|_| ComponentError::Task(id()))?
            .map_err(|source| ComponentError::Load {
                component: id(),
                source,
            })
    }

    /// An artifact may name content that it does not carry.
    fn stored(&self, component: &str, digest: Digest) -> Result<Digest, ComponentError> {
        match self.store.contains(&digest, None) {
            true => Ok(digest),
            false => Err(ComponentError::Missing {
                component: component.into(),
                digest,
            }),
        }
    }
}

fn read(store: &Store, digest: &Digest) -> Result<Vec<u8>, LoadError> {
    let bytes = store
        .read(digest)
        .map_err(|error| LoadError::Content(Box::new(error)))?;
    bytes.ok_or_else(|| LoadError::Content(format!("{digest} is no longer in the store").into()))
}
