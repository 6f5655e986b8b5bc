//! Commands of WASI preview 1, run as they are.
//!
//! A module that exports `_start` and asks for nothing but preview 1 needs no component around it. The adapter that would
//! make it one keeps its state in the guest's memory, which not every runtime bears: modules built with Go fail there
//! before their `main`. `spin registry push` wraps such modules in that adapter, so what arrives is unwrapped again.

use std::borrow::Cow;
use std::convert::Infallible;
use std::ops::Range;

use wasm_encoder::reencode::{self, Reencode, RoundtripReencoder};
use wasm_encoder::{ImportSection, Module};
use wasmparser::{ImportSectionReader, Parser, Payload};

use super::componentize;
use super::error::LoadError;
use super::module_info::ModuleInfo;

const PREVIEW1: &str = "wasi_snapshot_preview1";
const START: &str = "_start";
const CLI_RUN: &str = "wasi:cli/run@0.2.";
/// How the adapter for commands names the module that it wraps.
const WRAPPED: &str = "__main_module__";
/// The encoder tells two imports of one name apart by what it puts behind the second: `fd_write [v2]`.
const SECOND_IMPORT: &str = " [v";

/// The core module to run as it is; `None` for everything that is not a plain command.
///
/// # Errors
/// [`LoadError::Malformed`], and [`LoadError::Encode`] for a wrapped module that can't be written out again.
pub(super) fn command_module(wasm: &[u8]) -> Result<Option<Cow<'_, [u8]>>, LoadError> {
    if !Parser::is_component(wasm) {
        let plain =
            componentize::is_plain_command(&ModuleInfo::of(wasm)?) && Imports::of(wasm)?.only_preview1;
        return Ok(plain.then_some(Cow::Borrowed(wasm)));
    }
    match wrapped_command(wasm)? {
        Some(range) => unwrap(&wasm[range]).map(|module| Some(Cow::Owned(module))),
        None => Ok(None),
    }
}

/// Where the command is in a component that is nothing but the adapter around it.
fn wrapped_command(component: &[u8]) -> Result<Option<Range<usize>>, LoadError> {
    let Some(modules) = modules_of_command(component)? else {
        return Ok(None);
    };
    let mut command = None;
    let mut adapter = false;
    for range in modules {
        let imports = Imports::of(&component[range.clone()])?;
        adapter |= imports.wraps_command;
        if ModuleInfo::of(&component[range.clone()])?.exports(START) {
            if command.is_some() || !imports.only_preview1 {
                return Ok(None);
            }
            command = Some(range);
        }
    }
    Ok(command.filter(|_| adapter))
}

/// The core modules of a component that exports `wasi:cli/run` and nothing else.
fn modules_of_command(component: &[u8]) -> Result<Option<Vec<Range<usize>>>, LoadError> {
    let mut modules = Vec::new();
    let mut runs = false;
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(component) {
        match payload.map_err(LoadError::Malformed)? {
            Payload::ModuleSection { unchecked_range, .. } => {
                if depth == 0 {
                    modules.push(unchecked_range);
                }
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentExportSection(exports) if depth == 0 => {
                for export in exports {
                    if !export
                        .map_err(LoadError::Malformed)?
                        .name
                        .name
                        .starts_with(CLI_RUN)
                    {
                        return Ok(None);
                    }
                    runs = true;
                }
            }
            _ => {}
        }
    }
    Ok(runs.then_some(modules))
}

/// What a core module imports, as far as it matters here.
struct Imports {
    only_preview1: bool,
    wraps_command: bool,
}

impl Imports {
    fn of(module: &[u8]) -> Result<Imports, LoadError> {
        let mut found = Imports {
            only_preview1: true,
            wraps_command: false,
        };
        for payload in Parser::new(0).parse_all(module) {
            let Payload::ImportSection(section) = payload.map_err(LoadError::Malformed)? else {
                continue;
            };
            for import in section.into_imports() {
                let import = import.map_err(LoadError::Malformed)?;
                found.only_preview1 &= import.module == PREVIEW1;
                found.wraps_command |= import.module == WRAPPED && import.name == START;
            }
        }
        Ok(found)
    }
}

/// The module with its imports under the names they had.
fn unwrap(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut copy = Module::new();
    OriginalNames
        .parse_core_module(&mut copy, Parser::new(0), module)
        .map_err(|error| {
            LoadError::encode("take the command out of its adapter")(anyhow::Error::new(error))
        })?;
    Ok(copy.finish())
}

struct OriginalNames;

impl Reencode for OriginalNames {
    type Error = Infallible;

    fn parse_import_section(
        &mut self,
        imports: &mut ImportSection,
        section: ImportSectionReader<'_>,
    ) -> Result<(), reencode::Error> {
        for import in section.into_imports() {
            let import = import?;
            let name = import
                .name
                .split_once(SECOND_IMPORT)
                .map_or(import.name, |(name, _)| name);
            imports.import(import.module, name, RoundtripReencoder.entity_type(import.ty)?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loader::componentize::componentize;

    const COMMAND: &str = r#"(module
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
        (memory (export "memory") 1)
        (func (export "_start")))"#;

    fn import_names(module: &[u8]) -> Vec<String> {
        let mut names = Vec::new();
        for payload in Parser::new(0).parse_all(module) {
            if let Payload::ImportSection(section) = payload.unwrap() {
                names.extend(
                    section
                        .into_imports()
                        .map(|import| import.unwrap().name.to_owned()),
                );
            }
        }
        names
    }

    #[test]
    fn a_plain_command_stays_as_it_is() {
        let module = wat::parse_str(COMMAND).unwrap();
        assert!(matches!(command_module(&module).unwrap(), Some(Cow::Borrowed(_))));
    }

    #[test]
    fn a_command_that_was_wrapped_is_unwrapped() {
        let module = wat::parse_str(COMMAND).unwrap();
        let component = componentize(&module).unwrap();
        let unwrapped = command_module(&component).unwrap().unwrap();
        assert_eq!(import_names(&unwrapped), ["fd_write", "fd_write"]);
        assert!(ModuleInfo::of(&unwrapped).unwrap().exports("_start"));
    }

    #[test]
    fn what_asks_for_more_than_preview_1_is_not_a_plain_command() {
        let other = COMMAND.replacen("wasi_snapshot_preview1", "env", 1);
        assert!(command_module(&wat::parse_str(other).unwrap()).unwrap().is_none());
    }

    #[test]
    fn components_that_are_not_wrapped_commands_are_left_alone() {
        for component in [
            include_bytes!("../../tests/guests/prebuilt/hello.wasm").as_slice(),
            include_bytes!("../../tests/fixtures/loader/wat-hello.wasm"),
        ] {
            assert!(command_module(component).unwrap().is_none());
        }
    }
}
