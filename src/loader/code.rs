//! A component's code: what it is made of, and the way to it.

use std::sync::Arc;

use super::cache::{CacheKey, CompileCache, Compiled, Stored};
use super::command::command_module;
use super::compose::{Dependency, compose};
use super::error::LoadError;
use super::load::ComponentError;
use super::rename::rename_candidate;
use super::residents::Residents;
use super::trial::Trial;
use crate::app::Inherit;
use crate::oci::{Digest, Store};

/// The code of one component, which is mapped for as long as somebody holds it. A cheap handle.
#[derive(Clone)]
pub struct ComponentCode(Origin);

#[derive(Clone)]
enum Origin {
    Stored(Arc<Recipe>),
    #[cfg(test)]
    Uncached(Compiled),
}

/// What a component is made of.
pub(super) struct Recipe {
    pub(super) store: Store,
    pub(super) cache: CompileCache,
    pub(super) residents: Residents,
    /// The component's, for errors.
    pub(super) id: String,
    pub(super) key: CacheKey,
    pub(super) root: Digest,
    pub(super) dependencies: Vec<StoredDependency>,
}

#[derive(Clone)]
pub(super) struct StoredDependency {
    pub(super) name: String,
    pub(super) wasm: Digest,
    pub(super) export: Option<String>,
    pub(super) inherit: Inherit,
}

impl ComponentCode {
    pub(super) fn stored(recipe: Recipe) -> Self {
        Self(Origin::Stored(Arc::new(recipe)))
    }

    #[cfg(test)]
    pub(super) fn uncached(compiled: Compiled) -> Self {
        Self(Origin::Uncached(compiled))
    }

    /// The code: mapped already, from the compilation cache, or through every step that makes it.
    pub async fn map(&self) -> Result<Compiled, ComponentError> {
        match &self.0 {
            Origin::Stored(recipe) => recipe.map().await,
            #[cfg(test)]
            Origin::Uncached(compiled) => Ok(compiled.clone()),
        }
    }

    /// What the compilation cache has of it.
    pub(super) async fn look_up(&self) -> Option<Stored> {
        match &self.0 {
            Origin::Stored(recipe) => recipe.cache.look_up(&recipe.key).await,
            #[cfg(test)]
            Origin::Uncached(_) => None,
        }
    }

    /// Remembers that an instance could be made.
    pub async fn passed(&self, trial: Trial) {
        match &self.0 {
            Origin::Stored(recipe) => recipe.cache.passed(&recipe.key, trial).await,
            #[cfg(test)]
            Origin::Uncached(_) => {}
        }
    }

    /// Those that hold code for a while.
    pub fn residents(&self) -> Residents {
        match &self.0 {
            Origin::Stored(recipe) => recipe.residents.clone(),
            #[cfg(test)]
            Origin::Uncached(_) => Residents::default(),
        }
    }
}

impl Recipe {
    async fn map(&self) -> Result<Compiled, ComponentError> {
        let (store, root, dependencies) = (self.store.clone(), self.root, self.dependencies.clone());
        let make = move || {
            let root = read(&store, &root)?;
            if dependencies.is_empty()
                && let Some(command) = command_module(&root)?
            {
                return Ok(command.into_owned());
            }
            let dependencies = dependencies.into_iter().map(|dependency| {
                Ok(Dependency {
                    wasm: read(&store, &dependency.wasm)?,
                    name: dependency.name,
                    export: dependency.export,
                    inherit: dependency.inherit,
                })
            });
            let composed = compose(root, dependencies.collect::<Result<Vec<_>, LoadError>>()?)?;
            Ok(rename_candidate(&composed)?.into_owned())
        };
        let load = |source| ComponentError::Load {
            component: self.id.clone(),
            source,
        };
        self.cache.get(&self.key, &self.id, make).await.map_err(load)
    }
}

fn read(store: &Store, digest: &Digest) -> Result<Vec<u8>, LoadError> {
    let bytes = store
        .read(digest)
        .map_err(|error| LoadError::Content(Box::new(error)))?;
    bytes.ok_or_else(|| LoadError::Content(format!("{digest} is no longer in the store").into()))
}
