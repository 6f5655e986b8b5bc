//! Core modules to components, `docs/contract/host-interfaces.md` §9.

use std::borrow::Cow;

use wasi_preview1_component_adapter_provider::{
    WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER,
    WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER,
};
use wasmparser::Parser;
use wit_component::ComponentEncoder;

use super::error::LoadError;
use super::module_info::{ModuleInfo, numbers};
use super::old_abi;

/// The first generator of bindings whose modules today's encoder understands.
const FIRST_BINDINGS: [u32; 3] = [0, 5, 0];
/// The first generator of another, unknown, generation.
const AFTER_BINDINGS: [u32; 3] = [1, 0, 0];
/// The C library that came with older compilers hands out memory that the adapter uses.
const FIRST_SAFE_CLANG: [u32; 3] = [15, 0, 7];

/// A component as it is; a core module as the component it stands for.
///
/// # Errors
/// [`LoadError::Malformed`], and for modules [`LoadError::UnsupportedBindings`], [`LoadError::UnsafeToolchain`],
/// [`LoadError::NotComponentizable`], [`LoadError::Encode`].
pub(super) fn componentize(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    if Parser::is_component(wasm) {
        return Ok(Cow::Borrowed(wasm));
    }
    let info = ModuleInfo::of(wasm)?;
    match kind(&info)? {
        Kind::Bindings => encode(wasm, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER),
        Kind::Command => encode(wasm, WASI_SNAPSHOT_PREVIEW1_COMMAND_ADAPTER),
        Kind::OldSpin => {
            let rewritten = old_abi::rewrite(wasm, &info)?;
            encode(&rewritten, WASI_SNAPSHOT_PREVIEW1_REACTOR_ADAPTER)
        }
    }
    .map(Cow::Owned)
}

/// Whether the module is a command without a described world, which the adapter for commands is made for. How safe its C
/// library is beside that adapter is another question.
pub(super) fn is_plain_command(info: &ModuleInfo) -> bool {
    matches!(
        kind(info),
        Ok(Kind::Command) | Err(LoadError::UnsafeToolchain { .. })
    )
}

#[derive(Debug, PartialEq, Eq)]
enum Kind {
    Bindings,
    Command,
    OldSpin,
}

fn kind(info: &ModuleInfo) -> Result<Kind, LoadError> {
    if let Some(version) = &info.bindings {
        let understood = numbers(version).is_some_and(|v| v >= FIRST_BINDINGS && v < AFTER_BINDINGS);
        return if understood {
            Ok(Kind::Bindings)
        } else {
            Err(LoadError::UnsupportedBindings {
                version: version.clone(),
            })
        };
    }
    if info.has_world && !old_abi::handles(info) {
        // The description is all that the encoder needs; a tool that leaves out its name is no reason to refuse.
        return Ok(Kind::Bindings);
    }
    let allocates = info.exports(old_abi::REALLOC) || info.exports(old_abi::OLD_REALLOC);
    if !info.exports("_start") || info.has_world || allocates {
        return Ok(Kind::OldSpin);
    }
    match &info.clang {
        Some(version) if numbers(version).is_some_and(|v| v < FIRST_SAFE_CLANG) => {
            Err(LoadError::UnsafeToolchain {
                version: version.clone(),
            })
        }
        _ => Ok(Kind::Command),
    }
}

fn encode(module: &[u8], adapter: &[u8]) -> Result<Vec<u8>, LoadError> {
    ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.adapter(WASI_SNAPSHOT_PREVIEW1_ADAPTER_NAME, adapter))
        .and_then(|mut encoder| encoder.encode())
        .map_err(LoadError::encode("turn the core module into a component"))
}

#[cfg(test)]
#[path = "componentize_tests.rs"]
mod tests;
