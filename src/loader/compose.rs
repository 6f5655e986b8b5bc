//! A component and its dependencies as one component, `docs/contract/locked-app.md` §7.

use std::collections::BTreeMap;

use wac_graph::types::Package;
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};
use wasmparser::{Validator, WasmFeatures};

use crate::app::Inherit;

use super::componentize::componentize;
use super::deny;
use super::dependency_name::DependencyName;
use super::error::LoadError;

/// One component that satisfies imports of another.
#[derive(Clone, Debug)]
pub(super) struct Dependency {
    /// Which imports it satisfies: a plain name, a package, or an interface, as the app writes it.
    pub name: String,
    /// Its binary, a component or a core module.
    pub wasm: Vec<u8>,
    /// The export that satisfies the import; `None`: the one of the import's own name.
    pub export: Option<String>,
    /// What it may do of what the component may.
    pub inherit: Inherit,
}

/// `root` with its dependencies inside. What remains of their imports is imported by the result, which exports all that
/// the root exports. Without dependencies the root comes back as a component. Takes as long as reading the bytes a few
/// times: not for an async worker.
///
/// Middleware is composed the same way: each element is the root of one whose dependency, named by the handler's
/// interface, is what comes after it.
///
/// # Errors
/// [`LoadError::Compose`] and [`LoadError::ComposeGraph`], which name the dependency; those of [`componentize`].
pub(super) fn compose(root: Vec<u8>, dependencies: Vec<Dependency>) -> Result<Vec<u8>, LoadError> {
    let root = into_component(root)?;
    if dependencies.is_empty() {
        return Ok(root);
    }
    let mut graph = Graph::new(root)?;
    let covered = graph.cover(&dependencies)?;
    for (index, (dependency, imports)) in dependencies.into_iter().zip(covered).enumerate() {
        graph.plug(index, dependency, &imports)?;
    }
    graph.finish()
}

fn into_component(wasm: Vec<u8>) -> Result<Vec<u8>, LoadError> {
    Ok(match componentize(&wasm)? {
        std::borrow::Cow::Borrowed(_) => wasm,
        std::borrow::Cow::Owned(component) => component,
    })
}

struct Graph {
    graph: CompositionGraph,
    package: PackageId,
    root: NodeId,
}

impl Graph {
    fn new(root: Vec<u8>) -> Result<Graph, LoadError> {
        let mut graph = CompositionGraph::new();
        let package =
            register(&mut graph, "root:component", root).map_err(LoadError::encode("read the component"))?;
        let root = graph.instantiate(package);
        Ok(Graph { graph, package, root })
    }

    /// The root's imports that each dependency covers. Each covers one at least, and none is covered twice.
    fn cover(&self, dependencies: &[Dependency]) -> Result<Vec<Vec<String>>, LoadError> {
        let imports = &self.graph.types()[self.graph[self.package].ty()].imports;
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        let mut covered = Vec::new();
        for dependency in dependencies {
            let wrong = |reason: String| LoadError::Compose {
                dependency: dependency.name.clone(),
                reason,
            };
            let name = DependencyName::parse(&dependency.name);
            let mine: Vec<String> = imports
                .keys()
                .filter(|import| name.covers(import))
                .cloned()
                .collect();
            if mine.is_empty() {
                let have = imports.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(wrong(format!(
                    "the component imports nothing of that name; remove it, or correct the name. The imports are: {have}"
                )));
            }
            for import in imports.keys().filter(|import| name.covers(import)) {
                if let Some(other) = owners.insert(import, &dependency.name) {
                    return Err(wrong(format!(
                        "import `{import}` is also satisfied by dependency `{other}`; remove one of them"
                    )));
                }
            }
            covered.push(mine);
        }
        Ok(covered)
    }

    /// Instantiates a dependency, without what it does not inherit, and connects it to the root's `imports`.
    fn plug(&mut self, index: usize, dependency: Dependency, imports: &[String]) -> Result<(), LoadError> {
        let Dependency {
            name,
            wasm,
            export,
            inherit,
        } = dependency;
        let failed = |step: &'static str| {
            let dependency = name.clone();
            move |source: anyhow::Error| LoadError::ComposeGraph {
                dependency,
                step,
                source,
            }
        };
        let wasm = into_component(wasm)?;
        let stub = match &inherit {
            Inherit::All => None,
            Inherit::Some(keys) => deny::stub(&wasm, keys)?,
        };
        let package = register(&mut self.graph, &format!("dependency:d{index}"), wasm)
            .map_err(failed("it can't be read"))?;
        let instance = self.graph.instantiate(package);
        if let Some(stub) = stub {
            let package = register(&mut self.graph, &format!("deny:d{index}"), stub.wasm)
                .map_err(failed("the stub for what it does not inherit can't be read"))?;
            let answers = self.graph.instantiate(package);
            for import in stub.imports {
                self.connect(answers, &import, instance, &import)
                    .map_err(failed("the stub for what it does not inherit does not fit"))?;
            }
        }
        for import in imports {
            let export = export.as_deref().unwrap_or(import);
            let exports = &self.graph.types()[self.graph[package].ty()].exports;
            if !exports.contains_key(export) {
                let have = exports.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                return Err(LoadError::Compose {
                    dependency: name,
                    reason: format!(
                        "it has no export `{export}` for the component's import `{import}`; use a version that has, or \
                         name the export. The exports are: {have}"
                    ),
                });
            }
            self.connect(instance, export, self.root, import)
                .map_err(failed("its export has another type than the component's import"))?;
        }
        Ok(())
    }

    fn connect(&mut self, from: NodeId, export: &str, to: NodeId, import: &str) -> anyhow::Result<()> {
        let alias = self.graph.alias_instance_export(from, export)?;
        self.graph.set_instantiation_argument(to, import, alias)?;
        Ok(())
    }

    fn finish(mut self) -> Result<Vec<u8>, LoadError> {
        let encoded = self
            .encode()
            .map_err(LoadError::encode("compose the component with its dependencies"))?;
        // The graph is built on a newer encoder than the engine: what it makes must be valid here.
        Validator::new_with_features(WasmFeatures::all())
            .validate_all(&encoded)
            .map_err(|e| LoadError::encode("validate the composed component")(anyhow::Error::new(e)))?;
        Ok(encoded)
    }

    fn encode(&mut self) -> anyhow::Result<Vec<u8>> {
        let exports: Vec<String> = self.graph.types()[self.graph[self.package].ty()]
            .exports
            .keys()
            .cloned()
            .collect();
        for export in exports {
            let alias = self.graph.alias_instance_export(self.root, &export)?;
            self.graph.export(alias, export)?;
        }
        let options = EncodeOptions {
            define_components: true,
            validate: false,
            processor: None,
        };
        Ok(self.graph.encode(options)?)
    }
}

fn register(graph: &mut CompositionGraph, name: &str, wasm: Vec<u8>) -> anyhow::Result<PackageId> {
    let package = Package::from_bytes(name, None, wasm, graph.types_mut())?;
    Ok(graph.register_package(package)?)
}

#[cfg(test)]
#[path = "compose_tests.rs"]
mod tests;
