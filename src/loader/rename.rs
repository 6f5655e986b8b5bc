//! The WASI 0.3 release candidate that Spin 4.0 guests use, served by the final version.
//!
//! `@0.3.0-rc-2026-03-15` has the same types as `@0.3.0` (`docs/contract/host-interfaces.md` §7.3), but the engine matches
//! pre-releases by text only. So the names of a component's own imports and exports are rewritten. Not to `0.3.0`: Python
//! guests import both at once, and a component can't import one name twice. A patch version that no release has is
//! unique, and the engine serves it as it serves every 0.3.x. It also remembers where the export came from, see
//! [`HandlerType`](super::HandlerType).

use std::borrow::Cow;

use wasm_encoder::{
    ComponentExportSection, ComponentExternName, ComponentImportSection, ComponentSection as _, RawSection,
};
use wasmparser::{Encoding, Parser, Payload};

use super::error::LoadError;

/// What is renamed.
const RC: &str = "@0.3.0-rc-2026-03-15";
/// The version that stands for it in a loaded component.
pub(crate) const RC_SERVED_AS: &str = "0.3.20260315";
/// Only WASI's own packages had this release candidate.
const NAMESPACE: &str = "wasi:";

/// The component with the candidate's imports and exports renamed; what has none passes through.
///
/// Names inside nested components are left alone: they are matched with the arguments of their instantiation, in here.
///
/// # Errors
/// [`LoadError::Malformed`].
pub(super) fn rename_candidate(wasm: &[u8]) -> Result<Cow<'_, [u8]>, LoadError> {
    // The text is in every binary that needs work, and looking for it is much cheaper than parsing.
    if !contains(wasm, RC.as_bytes()) {
        return Ok(Cow::Borrowed(wasm));
    }
    let mut out = Vec::with_capacity(wasm.len());
    let mut depth = 0_usize;
    for payload in Parser::new(0).parse_all(wasm) {
        let payload = payload.map_err(LoadError::Malformed)?;
        match payload {
            Payload::Version { encoding, .. } if depth == 0 => {
                if encoding != Encoding::Component {
                    return Ok(Cow::Borrowed(wasm));
                }
                out.extend_from_slice(&wasm_encoder::Component::HEADER);
                depth = 1;
            }
            // The whole nested binary is copied when its section begins; its own payloads follow and are skipped.
            Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => {
                if depth == 1 {
                    copy(&mut out, wasm, &payload);
                }
                depth += 1;
            }
            Payload::End(_) => depth = depth.saturating_sub(1),
            Payload::ComponentImportSection(reader) if depth == 1 => {
                let mut section = ComponentImportSection::new();
                for import in reader {
                    let import = import.map_err(LoadError::Malformed)?;
                    let (name, implements) = (renamed(import.name.name), import.name.implements.map(renamed));
                    section.import(
                        extern_name(&import.name, &name, implements.as_deref()),
                        import.ty.into(),
                    );
                }
                section.append_to_component(&mut out);
            }
            Payload::ComponentExportSection(reader) if depth == 1 => {
                let mut section = ComponentExportSection::new();
                for export in reader {
                    let export = export.map_err(LoadError::Malformed)?;
                    let (name, implements) = (renamed(export.name.name), export.name.implements.map(renamed));
                    section.export(
                        extern_name(&export.name, &name, implements.as_deref()),
                        export.kind.into(),
                        export.index,
                        export.ty.map(Into::into),
                    );
                }
                section.append_to_component(&mut out);
            }
            payload if depth == 1 => copy(&mut out, wasm, &payload),
            _ => {}
        }
    }
    Ok(Cow::Owned(out))
}

/// Appends the payload's section as it is.
fn copy(out: &mut Vec<u8>, wasm: &[u8], payload: &Payload<'_>) {
    if let Some((id, range)) = payload.as_section() {
        RawSection {
            id,
            data: &wasm[range],
        }
        .append_to_component(out);
    }
}

fn extern_name<'a>(
    old: &wasmparser::ComponentExternName<'a>,
    name: &'a str,
    implements: Option<&'a str>,
) -> ComponentExternName<'a> {
    ComponentExternName {
        name: name.into(),
        implements: implements.map(Into::into),
        version_suffix: old.version_suffix.map(Into::into),
        external_id: old.external_id.map(Into::into),
    }
}

fn renamed(name: &str) -> Cow<'_, str> {
    match name.strip_suffix(RC) {
        Some(interface) if interface.starts_with(NAMESPACE) => {
            Cow::Owned(format!("{interface}@{RC_SERVED_AS}"))
        }
        _ => Cow::Borrowed(name),
    }
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack.windows(needle.len()).any(|window| window == needle)
}

#[cfg(test)]
#[path = "rename_tests.rs"]
mod tests;
