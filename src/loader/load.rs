//! A component of a locked app, from stored content to what can be linked.

use std::path::{Path, PathBuf};

use crate::app::{AppError, Component, FileContent as Content, FileMount};
use crate::oci::{Digest, Pin, Store};
use crate::runtime::Runtime;
use crate::tasks;

use super::cache::{CacheKey, CompileCache, CompileCounts, Compiled, Stored};
use super::code::{ComponentCode, Recipe, StoredDependency};
use super::error::LoadError;
use super::files::{FileContent, FileEntry, materialise};
use super::residents::Residents;
use super::trial::Trial;

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
}

/// Loads components for a process's engines from one store. A cheap handle.
#[derive(Clone)]
pub struct Loader {
    store: Store,
    cache: CompileCache,
    residents: Residents,
}

/// A component whose code is there, and what it is given.
pub struct LoadedComponent {
    pub code: ComponentCode,
    /// Mapped where it had to be compiled.
    mapped: Option<Compiled>,
    /// What the code has passed.
    trials: Vec<String>,
    /// The directory that the guest sees at `/`; none for a component without files.
    pub files: Option<PathBuf>,
    /// What of the store it uses while it runs, besides the artifact's own blobs.
    pub pins: Vec<Pin>,
}

impl LoadedComponent {
    /// What can be linked.
    pub async fn compiled(&self) -> Result<Compiled, ComponentError> {
        match &self.mapped {
            Some(compiled) => Ok(compiled.clone()),
            None => self.code.map().await,
        }
    }

    /// Whether an instance was made in this way before: by an earlier process, perhaps.
    pub fn has_passed(&self, trial: &Trial) -> bool {
        self.trials.iter().any(|passed| passed == trial.as_str())
    }

    /// One that no cache has, for tests of what runs it.
    #[cfg(test)]
    pub(crate) fn uncached(compiled: Compiled) -> Self {
        Self {
            code: ComponentCode::uncached(compiled),
            mapped: None,
            trials: Vec::new(),
            files: None,
            pins: Vec::new(),
        }
    }
}

impl Loader {
    /// Blocks on the disk.
    pub fn new(runtime: &Runtime, store: Store) -> Result<Self, LoadError> {
        let cache = CompileCache::open(store.root(), store.scratch(), runtime.engines())?;
        let residents = Residents::default();
        Ok(Self {
            store,
            cache,
            residents,
        })
    }

    /// What has been compiled.
    pub fn compiles(&self) -> &CompileCounts {
        self.cache.compiles()
    }

    /// Those that hold code for a while.
    pub fn residents(&self) -> &Residents {
        &self.residents
    }

    /// Loads one component: what is in the compilation cache is not mapped yet, what is not goes through every step that
    /// makes it code.
    pub async fn load(&self, component: &Component) -> Result<LoadedComponent, ComponentError> {
        component.check_trigger_dependencies()?;
        let code = self.code(component)?;
        let (stored, mapped) = match code.look_up().await {
            Some(stored) => (stored, None),
            None => {
                let compiled = Box::pin(code.map()).await?;
                let (paths, trials) = (compiled.paths().to_vec(), Vec::new());
                (Stored { paths, trials }, Some(compiled))
            }
        };
        let files = self.files(component).await?;
        let mut pins: Vec<Pin> = stored.paths.into_iter().map(Pin::Path).collect();
        let relative = |path: &Path| path.strip_prefix(self.store.root()).map(Path::to_owned).ok();
        pins.extend(files.as_deref().and_then(relative).map(Pin::Path));
        Ok(LoadedComponent {
            code,
            mapped,
            trials: stored.trials,
            files,
            pins,
        })
    }

    /// The same of a component that this process has loaded before, and holds the pins of: its code is looked for when it is mapped.
    pub async fn load_again(&self, component: &Component) -> Result<LoadedComponent, ComponentError> {
        Ok(LoadedComponent {
            code: self.code(component)?,
            mapped: None,
            trials: Vec::new(),
            files: self.files(component).await?,
            pins: Vec::new(),
        })
    }

    async fn files(&self, component: &Component) -> Result<Option<PathBuf>, ComponentError> {
        let files = component.files()?;
        if files.is_empty() {
            return Ok(None);
        }
        self.lay_out(component, files).await.map(Some)
    }

    fn code(&self, component: &Component) -> Result<ComponentCode, ComponentError> {
        let id = &component.id;
        let root = self.stored(id, component.wasm()?)?;
        let mut parts = vec![root.to_string()];
        let mut dependencies = Vec::new();
        for (name, dependency) in &component.dependencies {
            let wasm = self.stored(id, dependency.wasm(id)?)?;
            parts.extend([
                name.clone(),
                wasm.to_string(),
                format!("{:?}", (&dependency.export, &dependency.inherit)),
            ]);
            dependencies.push(StoredDependency {
                name: name.clone(),
                wasm,
                export: dependency.export.clone(),
                inherit: dependency.inherit.clone(),
            });
        }
        Ok(ComponentCode::stored(Recipe {
            store: self.store.clone(),
            cache: self.cache.clone(),
            residents: self.residents.clone(),
            id: id.clone(),
            key: CacheKey::of(&parts),
            root,
            dependencies,
        }))
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
        let laid_out = tasks::on_disk(move || materialise(store.root(), store.scratch(), &entries)).await;
        laid_out.map_err(|source| ComponentError::Load {
            component: component.id.clone(),
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
