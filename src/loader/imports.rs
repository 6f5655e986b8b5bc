//! Imports that the host's linker can't satisfy, all of them at once, `docs/contract/host-interfaces.md` §2.
//!
//! The linker itself stops at the first. It is the judge all the same: names are matched by its own semver rule and types
//! by its own check, so this can't disagree with what instantiation will say. One import at a time is put before it, with
//! stand-ins for those that are known to be missing and for those that come later.

use std::fmt;

use wasmtime::Result;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker, LinkerInstance, ResourceType};

use super::error::LoadError;

/// How the linker's reason ends when there is nothing of that name.
const ABSENT: [&str; 2] = ["implementation is missing", "was not found in the linker"];

/// An import that the host does not offer, or offers with another type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingImport {
    /// The import's name.
    pub name: String,
    /// What the linker says about it.
    pub reason: String,
}

impl fmt::Display for MissingImport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // That the host has nothing of this name is what the sentence around it says.
        if ABSENT.iter().any(|reason| self.reason.ends_with(reason)) {
            write!(f, "`{}`", self.name)
        } else {
            write!(f, "`{}` ({})", self.name, self.reason)
        }
    }
}

/// Links the component; `name` is its id, for errors.
///
/// # Errors
/// [`LoadError::MissingImports`] with every import that is not satisfied. An import whose types come from a missing one
/// is listed too.
pub fn link<T: 'static>(
    linker: &Linker<T>,
    component: &Component,
    name: &str,
) -> Result<InstancePre<T>, LoadError> {
    linker.instantiate_pre(component).map_err(|first| {
        let mut missing = find_missing(linker, component).unwrap_or_default();
        if missing.is_empty() {
            // The linker objects to something other than an import.
            missing.push(MissingImport {
                name: name.to_owned(),
                reason: format!("{first:#}"),
            });
        }
        LoadError::MissingImports {
            component: name.to_owned(),
            missing,
        }
    })
}

/// Quadratic in the number of imports, and only run for a component that does not link.
fn find_missing<T: 'static>(linker: &Linker<T>, component: &Component) -> Result<Vec<MissingImport>> {
    let ty = component.component_type();
    let imports: Vec<(&str, ComponentItem)> = ty
        .imports(component.engine())
        .map(|(name, import)| (name, import.ty))
        .collect();
    let mut present = vec![true; imports.len()];
    let mut missing = Vec::new();
    for tested in 0..imports.len() {
        let mut trial = linker.clone();
        trial.allow_shadowing(true);
        let mut known = Vec::new();
        for (i, (name, item)) in imports.iter().enumerate() {
            if i == tested || (i < tested && present[i]) {
                note_resources(item, component, &mut known);
            } else {
                stand_in(&mut trial.root(), name, item, component, &mut known)?;
            }
        }
        if let Err(error) = trial.instantiate_pre(component) {
            present[tested] = false;
            missing.push(MissingImport {
                name: imports[tested].0.to_owned(),
                // The outer layer repeats the import's name.
                reason: error
                    .chain()
                    .skip(1)
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join(": "),
            });
        }
    }
    Ok(missing)
}

/// The type behind the resources of stand-ins.
struct StandIn;

/// Defines `item` as something that has its type and does nothing. A resource that was seen before is an alias, which
/// needs no definition and must not get another one.
fn stand_in<T: 'static>(
    linker: &mut LinkerInstance<'_, T>,
    name: &str,
    item: &ComponentItem,
    component: &Component,
    known: &mut Vec<ResourceType>,
) -> Result<()> {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            let mut inner = linker.instance(name)?;
            for (name, export) in instance.exports(component.engine()) {
                stand_in(&mut inner, name, &export.ty, component, known)?;
            }
        }
        ComponentItem::ComponentFunc(func) if func.async_() => {
            linker.func_new_concurrent(name, |_, _, _, _| Box::pin(async { Ok(()) }))?;
        }
        ComponentItem::ComponentFunc(_) => linker.func_new(name, |_, _, _, _| Ok(()))?,
        ComponentItem::Resource(resource) if !known.contains(resource) => {
            known.push(*resource);
            linker.resource(name, ResourceType::host::<StandIn>(), |_, _| Ok(()))?;
        }
        _ => {}
    }
    Ok(())
}

fn note_resources(item: &ComponentItem, component: &Component, known: &mut Vec<ResourceType>) {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            for (_, export) in instance.exports(component.engine()) {
                note_resources(&export.ty, component, known);
            }
        }
        ComponentItem::Resource(resource) if !known.contains(resource) => known.push(*resource),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::testing::engine;

    const GUEST: &str = r#"(component
        (import "acme:a/one@1.2.0" (instance (export "f" (func))))
        (import "acme:b/types@0.2.0" (instance (export "handle" (type (sub resource)))))
        (import "acme:c/two@1.0.0" (instance (export "g" (func (param "x" u32)))))
        (import "acme:d/only-types@1.0.0" (instance (type $r (record (field "x" u8))) (export "r" (type (eq $r)))))
        (import "acme:e/three@1.0.0" (instance (export "h" (func async))))
    )"#;

    fn linker(engine: &wasmtime::Engine) -> Linker<()> {
        Linker::new(engine)
    }

    #[test]
    fn every_missing_import_is_named_at_once() {
        let engine = engine();
        let component = Component::new(&engine, GUEST).unwrap();
        let mut linker = linker(&engine);
        linker
            .instance("acme:c/two@1.0.0")
            .unwrap()
            .func_wrap("g", |_, (_x,): (u32,)| Ok(()))
            .unwrap();

        let error = link(&linker, &component, "web").err().unwrap();
        let LoadError::MissingImports { missing, .. } = &error else {
            panic!("{error}");
        };
        let names: Vec<&str> = missing.iter().map(|m| m.name.as_str()).collect();
        assert_eq!(
            names,
            ["acme:a/one@1.2.0", "acme:b/types@0.2.0", "acme:e/three@1.0.0"]
        );
        assert!(error.to_string().contains("`acme:b/types@0.2.0`"), "{error}");
    }

    #[test]
    fn names_match_by_semver_as_the_linker_matches_them() {
        let engine = engine();
        let component = Component::new(
            &engine,
            r#"(component
                (import "acme:a/one@1.2.0" (instance (export "f" (func))))
                (import "acme:b/two@1.0.0-rc-1" (instance (export "f" (func))))
            )"#,
        )
        .unwrap();
        let mut linker = linker(&engine);
        for offered in ["acme:a/one@1.9.9", "acme:b/two@1.0.0"] {
            linker
                .instance(offered)
                .unwrap()
                .func_wrap("f", |_, (): ()| Ok(()))
                .unwrap();
        }
        let error = link(&linker, &component, "web").err().unwrap();
        let LoadError::MissingImports { missing, .. } = error else {
            panic!("{error}");
        };
        assert_eq!(missing.len(), 1, "{missing:?}");
        assert_eq!(missing[0].name, "acme:b/two@1.0.0-rc-1");
    }

    #[test]
    fn an_import_of_another_type_says_so() {
        let engine = engine();
        let component = Component::new(
            &engine,
            r#"(component (import "acme:a/one@1.0.0" (instance (export "f" (func)))))"#,
        )
        .unwrap();
        let mut linker = linker(&engine);
        linker
            .instance("acme:a/one@1.0.0")
            .unwrap()
            .func_wrap("f", |_, (_x,): (u32,)| Ok(()))
            .unwrap();
        let error = link(&linker, &component, "web").err().unwrap();
        assert!(error.to_string().contains("`f` has the wrong type"), "{error}");
    }

    #[test]
    fn a_satisfied_component_links() {
        let engine = engine();
        let component = Component::new(&engine, component_of_types()).unwrap();
        assert!(link(&linker(&engine), &component, "web").is_ok());
    }

    fn component_of_types() -> &'static str {
        r#"(component (import "acme:d/only-types@1.0.0" (instance
            (type $r (record (field "x" u8))) (export "r" (type (eq $r))))))"#
    }
}
