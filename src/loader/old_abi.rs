//! Modules of the time before components, as Spin 1.x SDKs made them: rewritten so that today's encoder takes them.
//!
//! The old core signatures of these functions are those of today's canonical ABI (`docs/contract/host-interfaces.md` §9,
//! 3b), so names are all that changes, and a description of the world is added. What a handler returns is not freed:
//! instances of these modules serve one request.

use std::convert::Infallible;

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{ExportSection, ImportSection, Module};
use wasmparser::{ExportSectionReader, ImportSectionReader, Parser};
use wit_component::StringEncoding;
use wit_parser::{Resolve, SourceMap};

use super::error::LoadError;
use super::module_info::ModuleInfo;

/// The allocator under today's name.
pub(super) const REALLOC: &str = "cabi_realloc";
/// The allocator under its old name.
pub(super) const OLD_REALLOC: &str = "canonical_abi_realloc";

/// Old module name, and the interface it stands for. Functions keep their names, but for [`RENAMED_FUNCTION`].
const IMPORTS: [(&str, &str); 8] = [
    ("wasi-outbound-http", "fermyon:spin/http"),
    ("spin-config", "fermyon:spin/config"),
    ("outbound-redis", "fermyon:spin/redis"),
    ("outbound-pg", "fermyon:spin/postgres"),
    ("outbound-mysql", "fermyon:spin/mysql"),
    ("sqlite", "fermyon:spin/sqlite"),
    ("key-value", "fermyon:spin/key-value"),
    ("llm", "fermyon:spin/llm"),
];
/// Of `wasi-outbound-http`.
const RENAMED_FUNCTION: (&str, &str) = ("request", "send-request");

const HTTP_HANDLER: (&str, &str) = ("handle-http-request", "fermyon:spin/inbound-http#handle-request");
const REDIS_HANDLER: (&str, &str) = (
    "handle-redis-message",
    "fermyon:spin/inbound-redis#handle-message",
);

/// `wit/host/deps/fermyon-spin/`: the unversioned interfaces, and the worlds that [`world_name`] chooses from.
const WIT: [(&str, &str); 8] = [
    (
        "spin.wit",
        include_str!("../../wit/host/deps/fermyon-spin/spin.wit"),
    ),
    (
        "http.wit",
        include_str!("../../wit/host/deps/fermyon-spin/http.wit"),
    ),
    (
        "config.wit",
        include_str!("../../wit/host/deps/fermyon-spin/config.wit"),
    ),
    (
        "key-value.wit",
        include_str!("../../wit/host/deps/fermyon-spin/key-value.wit"),
    ),
    (
        "sqlite.wit",
        include_str!("../../wit/host/deps/fermyon-spin/sqlite.wit"),
    ),
    (
        "redis.wit",
        include_str!("../../wit/host/deps/fermyon-spin/redis.wit"),
    ),
    (
        "rdbms.wit",
        include_str!("../../wit/host/deps/fermyon-spin/rdbms.wit"),
    ),
    (
        "llm.wit",
        include_str!("../../wit/host/deps/fermyon-spin/llm.wit"),
    ),
];
const WORLDS_WIT: &str = include_str!("../../wit/host/deps/fermyon-spin/modules.wit");

/// The module with today's names and a description of its world.
///
/// # Errors
/// [`LoadError::NotComponentizable`] when it is no Spin module either, [`LoadError::Encode`].
pub(super) fn rewrite(module: &[u8], info: &ModuleInfo) -> Result<Vec<u8>, LoadError> {
    let world = world_name(info)?;
    if !info.exports_memory {
        return Err(LoadError::NotComponentizable {
            reason: "it exports no memory; build it with the SDK of its time, or as a component".to_owned(),
        });
    }
    let mut renamed = Module::new();
    let mut renamer = Renamer {
        rename_allocator: !info.exports(REALLOC),
    };
    renamer
        .parse_core_module(&mut renamed, Parser::new(0), module)
        .map_err(|e| {
            LoadError::encode("rename the imports and exports of the module")(anyhow::Error::new(e))
        })?;
    let mut renamed = renamed.finish();
    embed_world(&mut renamed, world).map_err(LoadError::encode("describe the world of the module"))?;
    Ok(renamed)
}

/// Whether the module exports a handler of the old ABI.
pub(super) fn handles(info: &ModuleInfo) -> bool {
    [HTTP_HANDLER, REDIS_HANDLER]
        .iter()
        .any(|(old, _)| info.exports(old))
}

fn world_name(info: &ModuleInfo) -> Result<&'static str, LoadError> {
    match (info.exports(HTTP_HANDLER.0), info.exports(REDIS_HANDLER.0)) {
        (true, false) => Ok("old-http"),
        (false, true) => Ok("old-redis"),
        (true, true) => Ok("old-http-redis"),
        (false, false) => Err(LoadError::NotComponentizable {
            reason: format!(
                "it describes no world and exports none of `_start` (alone), `{}`, `{}`; build it as a component",
                HTTP_HANDLER.0, REDIS_HANDLER.0
            ),
        }),
    }
}

fn embed_world(module: &mut Vec<u8>, world: &str) -> anyhow::Result<()> {
    let mut sources = SourceMap::default();
    for (name, text) in WIT {
        sources.push_str(name, text);
    }
    sources.push_str("modules.wit", WORLDS_WIT);
    let package = sources.parse().map_err(|(_, error)| anyhow::Error::new(error))?;
    let mut resolve = Resolve::default();
    let package = resolve.push_group(package)?;
    let world = resolve.select_world(&[package], Some(world))?;
    wit_component::embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}

/// Copies a module; only the names of imports and exports change.
struct Renamer {
    rename_allocator: bool,
}

impl Reencode for Renamer {
    type Error = Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        for import in section.into_imports() {
            let import = import?;
            let (module, name) = new_import(import.module, import.name);
            imports.import(module, name, RoundtripReencoder.entity_type(import.ty)?);
        }
        Ok(())
    }

    fn parse_export_section(
        &mut self,
        exports: &mut ExportSection,
        section: ExportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        for export in section {
            let export = export?;
            let name = match export.name {
                name if name == HTTP_HANDLER.0 => HTTP_HANDLER.1,
                name if name == REDIS_HANDLER.0 => REDIS_HANDLER.1,
                OLD_REALLOC if self.rename_allocator => REALLOC,
                name => name,
            };
            exports.export(name, RoundtripReencoder.export_kind(export.kind)?, export.index);
        }
        Ok(())
    }
}

fn new_import<'a>(module: &'a str, name: &'a str) -> (&'a str, &'a str) {
    let Some((old, interface)) = IMPORTS.iter().find(|(old, _)| *old == module) else {
        return (module, name);
    };
    if *old == IMPORTS[0].0 && name == RENAMED_FUNCTION.0 {
        return (interface, RENAMED_FUNCTION.1);
    }
    (interface, name)
}
