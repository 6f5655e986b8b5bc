//! The stub that answers a dependency in place of the host, for what it does not inherit:
//! `docs/contract/locked-app.md` §7, step 4.
//!
//! Spin embeds a stub that was built beforehand. Here it is made for the dependency at hand, from the types that the
//! dependency itself imports, so it fits by construction. Functions answer what [`capability`](super::capability) says,
//! or trap where that can't be expressed.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::decoding::{DecodedWasm, decode};
use wit_parser::{
    FunctionKind, InterfaceId, LiftLowerAbi, ManglingAndAbi, Resolve, ResourceIntrinsic, Type, TypeDefKind,
    TypeOwner, WasmExport, WasmExportKind, WasmImport, WorldId, WorldItem, WorldKey,
};

use super::capability::{self, Reply};
use super::error::LoadError;
use super::reply::Image;
use super::stub_module::{Body, IMAGE_BASE, Stubbed, assemble};

const ABI: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// A stub, and the names of the dependency's imports that it exports.
pub(super) struct Stub {
    pub(super) wasm: Vec<u8>,
    pub(super) imports: Vec<String>,
}

/// The stub for a component that inherits only `keys`; `None` when it imports nothing that is denied.
///
/// # Errors
/// [`LoadError::Encode`].
pub(super) fn stub(component: &[u8], keys: &[String]) -> Result<Option<Stub>, LoadError> {
    build(component, keys).map_err(LoadError::encode(
        "make the stub for what a dependency does not inherit",
    ))
}

fn build(component: &[u8], keys: &[String]) -> anyhow::Result<Option<Stub>> {
    let DecodedWasm::Component(mut resolve, world) = decode(component)? else {
        anyhow::bail!("the dependency is an interface definition, not a component");
    };
    let denied = denied(&resolve, world, keys);
    if denied.is_empty() {
        return Ok(None);
    }
    let mut text = String::from("package lepton:deny;\nworld stub {\n");
    let mut imports = Vec::new();
    for interface in denied {
        // `denied` holds named interfaces only.
        if let Some(id) = resolve.id_of(interface) {
            writeln!(text, "  export {id};")?;
            imports.push(id);
        }
    }
    text.push_str("}\n");
    let package = resolve.push_source("stub.wit", &text)?;
    let world = resolve.select_world(&[package], Some("stub"))?;
    let mut module = module(&resolve, world)?;
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8)?;
    let wasm = ComponentEncoder::default().module(&module)?.encode()?;
    Ok(Some(Stub { wasm, imports }))
}

/// The imported interfaces that are denied, and those that need a resource of one: the host's own resource would not
/// be the stub's, and nobody can obtain the stub's.
fn denied(resolve: &Resolve, world: WorldId, keys: &[String]) -> BTreeSet<InterfaceId> {
    let imported: Vec<InterfaceId> = resolve.worlds[world]
        .imports
        .iter()
        .filter_map(|(key, item)| match (key, item) {
            (WorldKey::Interface(_), WorldItem::Interface { id, .. }) => Some(*id),
            _ => None,
        })
        .collect();
    let mut denied: BTreeSet<InterfaceId> = imported
        .iter()
        .copied()
        .filter(|id| unversioned(resolve, *id).is_some_and(|name| capability::is_denied(&name, keys)))
        .collect();
    loop {
        let more: Vec<InterfaceId> = imported
            .iter()
            .copied()
            .filter(|id| !denied.contains(id) && uses_resource_of(resolve, *id, &denied))
            .collect();
        if more.is_empty() {
            return denied;
        }
        denied.extend(more);
    }
}

fn uses_resource_of(resolve: &Resolve, interface: InterfaceId, owners: &BTreeSet<InterfaceId>) -> bool {
    resolve.interfaces[interface].types.values().any(|alias| {
        let mut id = *alias;
        while let TypeDefKind::Type(Type::Id(inner)) = resolve.types[id].kind {
            id = inner;
        }
        let ty = &resolve.types[id];
        let is_resource = matches!(ty.kind, TypeDefKind::Resource);
        is_resource
            && id != *alias
            && matches!(ty.owner, TypeOwner::Interface(owner) if owners.contains(&owner))
    })
}

/// `namespace:package/interface`.
fn unversioned(resolve: &Resolve, interface: InterfaceId) -> Option<String> {
    let interface = &resolve.interfaces[interface];
    let package = &resolve.packages[interface.package?].name;
    Some(format!(
        "{}:{}/{}",
        package.namespace,
        package.name,
        interface.name.as_ref()?
    ))
}

fn module(resolve: &Resolve, world: WorldId) -> anyhow::Result<Vec<u8>> {
    let mut image = Image::new(resolve, IMAGE_BASE);
    let mut functions = Vec::new();
    for (key, item) in &resolve.worlds[world].exports {
        let WorldItem::Interface { id, .. } = item else {
            continue;
        };
        let interface = unversioned(resolve, *id).unwrap_or_default();
        for function in resolve.interfaces[*id].functions.values() {
            let signature = resolve.wasm_signature(ABI.export_variant(), function);
            let reply = capability::reply(&interface, &function.name);
            let body = match (reply, &function.result, &function.kind) {
                (Some(Reply::Return), None, _) => Body::Return,
                (Some(Reply::Handle), _, FunctionKind::Constructor(resource)) => {
                    let (module, name) = resolve.wasm_import_name(
                        ABI,
                        WasmImport::ResourceIntrinsic {
                            interface: Some(key),
                            resource: *resource,
                            intrinsic: ResourceIntrinsic::ExportedNew,
                        },
                    );
                    Body::Handle(module, name)
                }
                (Some(reply), Some(ty), _) => {
                    let named = function.params.first().is_some_and(|p| p.ty == Type::String);
                    if reply == Reply::UndefinedName && !named {
                        Body::Trap
                    } else {
                        image
                            .answer(reply, ty, signature.retptr, &interface)
                            .map_or(Body::Trap, Body::Answer)
                    }
                }
                _ => Body::Trap,
            };
            let export = resolve.wasm_export_name(
                ABI,
                WasmExport::Func {
                    interface: Some(key),
                    func: function,
                    kind: WasmExportKind::Normal,
                },
            );
            functions.push(Stubbed {
                export,
                signature,
                body,
            });
        }
    }
    Ok(assemble(&functions, image))
}

#[cfg(test)]
#[path = "deny_tests.rs"]
mod tests;
