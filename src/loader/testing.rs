//! What the tests of this room share.

use std::fmt::Write as _;

use wasmtime::{Config, Engine};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::abi::{WasmSignature, WasmType};
use wit_parser::{
    Function, LiftLowerAbi, ManglingAndAbi, Resolve, WasmExport, WasmExportKind, WasmImport, WorldId,
    WorldItem,
};

/// An engine as the host has it, as far as loading is concerned.
pub(crate) fn engine() -> Engine {
    let mut config = Config::new();
    config.wasm_component_model_async(true);
    Engine::new(&config).unwrap()
}

/// A component that exports an empty instance under each name.
pub(crate) fn component_exporting(exports: &[&str]) -> Vec<u8> {
    let mut text = String::from("(component (instance $i)\n");
    for export in exports {
        writeln!(text, "(export \"{export}\" (instance $i))").unwrap();
    }
    text.push(')');
    wat::parse_str(text).unwrap()
}

/// A component of the WIT text's world `w`. `core` is its core module's text; without it every import is imported, every
/// export traps.
pub(crate) fn component_of(wit: &str, core: Option<&str>) -> Vec<u8> {
    let mut resolve = Resolve::default();
    let package = resolve.push_source("test.wit", wit).unwrap();
    let world = resolve.select_world(&[package], Some("w")).unwrap();
    let text = core.map_or_else(|| trapping(&resolve, world), str::to_owned);
    let mut module = wat::parse_str(text).unwrap();
    wit_component::embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    ComponentEncoder::default()
        .module(&module)
        .unwrap()
        .encode()
        .unwrap()
}

fn trapping(resolve: &Resolve, world: WorldId) -> String {
    let abi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);
    let mut text = String::from("(module\n");
    for (key, item) in &resolve.worlds[world].imports {
        for func in functions(resolve, item) {
            let interface = matches!(item, WorldItem::Interface { .. }).then_some(key);
            let (module, name) = resolve.wasm_import_name(abi, WasmImport::Func { interface, func });
            let ty = signature(&resolve.wasm_signature(abi.import_variant(), func));
            writeln!(text, "(import {module:?} {name:?} (func {ty}))").unwrap();
        }
    }
    text.push_str("(memory (export \"memory\") 1)\n");
    text.push_str("(func (export \"cabi_realloc\") (param i32 i32 i32 i32) (result i32) unreachable)\n");
    for (key, item) in &resolve.worlds[world].exports {
        for func in functions(resolve, item) {
            let interface = matches!(item, WorldItem::Interface { .. }).then_some(key);
            let kind = WasmExportKind::Normal;
            let name = resolve.wasm_export_name(
                abi,
                WasmExport::Func {
                    interface,
                    func,
                    kind,
                },
            );
            let ty = signature(&resolve.wasm_signature(abi.export_variant(), func));
            writeln!(text, "(func (export {name:?}) {ty} unreachable)").unwrap();
        }
    }
    text.push(')');
    text
}

fn functions<'a>(resolve: &'a Resolve, item: &'a WorldItem) -> Vec<&'a Function> {
    match item {
        WorldItem::Function(func) => vec![func],
        WorldItem::Interface { id, .. } => resolve.interfaces[*id].functions.values().collect(),
        WorldItem::Type { .. } => Vec::new(),
    }
}

fn signature(signature: &WasmSignature) -> String {
    let mut text = String::new();
    for (word, types) in [("param", &signature.params), ("result", &signature.results)] {
        for ty in types {
            let ty = match ty {
                WasmType::I64 | WasmType::PointerOrI64 => "i64",
                WasmType::F32 => "f32",
                WasmType::F64 => "f64",
                _ => "i32",
            };
            write!(text, "({word} {ty})").unwrap();
        }
    }
    text
}
