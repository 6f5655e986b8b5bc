//! What a core module says about itself: enough to choose how it becomes a component.

use wasmparser::{ExternalKind, KnownCustom, Parser, Payload};

use super::error::LoadError;

/// The custom sections in which bindings describe their world begin like this.
const WORLD_SECTION: &str = "component-type";
const PROCESSED_BY: &str = "processed-by";
/// The bindings' generators of all languages: `wit-bindgen-rust`, `wit-bindgen-c`, ….
const BINDINGS: &str = "wit-bindgen";
/// How every module and component begins.
const WASM_MAGIC: &[u8] = b"\0asm";
const CLANG: &str = "clang";

/// Facts about one core module.
#[derive(Debug, Default)]
pub(super) struct ModuleInfo {
    /// It describes its world.
    pub(super) has_world: bool,
    /// The version of the generator that described the world, as written.
    pub(super) bindings: Option<String>,
    /// The version of clang that made it, as written.
    pub(super) clang: Option<String>,
    /// Names of its exports.
    pub(super) exports: Vec<String>,
    /// It exports a memory.
    pub(super) exports_memory: bool,
}

impl ModuleInfo {
    /// # Errors
    /// [`LoadError::Malformed`].
    pub(super) fn of(module: &[u8]) -> Result<ModuleInfo, LoadError> {
        let mut info = ModuleInfo::default();
        for payload in Parser::new(0).parse_all(module) {
            match payload.map_err(LoadError::Malformed)? {
                Payload::CustomSection(section) if section.name().starts_with(WORLD_SECTION) => {
                    info.has_world = true;
                    if info.bindings.is_none() {
                        info.bindings = bindings_version(section.data());
                    }
                }
                Payload::CustomSection(section) if info.clang.is_none() => {
                    info.clang = producer(section.as_known(), |name| name == CLANG);
                }
                Payload::ExportSection(exports) => {
                    for export in exports {
                        let export = export.map_err(LoadError::Malformed)?;
                        info.exports_memory |= export.kind == ExternalKind::Memory;
                        info.exports.push(export.name.to_owned());
                    }
                }
                _ => {}
            }
        }
        Ok(info)
    }

    pub(super) fn exports(&self, name: &str) -> bool {
        self.exports.iter().any(|export| export == name)
    }
}

/// The description of a world is itself a component, with producers. Descriptions of 2023 begin with an encoding and the
/// world's name. What comes after the first trouble is not looked at: the encoder reports it.
fn bindings_version(world: &[u8]) -> Option<String> {
    let start = world
        .windows(WASM_MAGIC.len())
        .position(|bytes| bytes == WASM_MAGIC)?;
    let payloads = Parser::new(0).parse_all(&world[start..]).map_while(Result::ok);
    payloads.into_iter().find_map(|payload| match payload {
        Payload::CustomSection(section) => producer(section.as_known(), |name| name.starts_with(BINDINGS)),
        _ => None,
    })
}

/// The version of the first tool in a producers section that `wanted` accepts.
fn producer(section: KnownCustom<'_>, wanted: impl Fn(&str) -> bool) -> Option<String> {
    let KnownCustom::Producers(fields) = section else {
        return None;
    };
    fields
        .into_iter()
        .map_while(Result::ok)
        .filter(|field| field.name == PROCESSED_BY)
        .flat_map(|field| field.values.into_iter().map_while(Result::ok))
        .find(|value| wanted(value.name))
        .map(|value| value.version.to_owned())
}

/// The leading numbers of a version: `15.0.7 (https://…)` is `[15, 0, 7]`. Missing parts are 0.
pub(super) fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut parts = [0; 3];
    let text = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    if text.is_empty() {
        return None;
    }
    for (part, digits) in parts.iter_mut().zip(text.split('.')) {
        if !digits.is_empty() {
            *part = digits.parse().ok()?;
        }
    }
    Some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_with_their_suffixes() {
        assert_eq!(numbers("0.16.0"), Some([0, 16, 0]));
        assert_eq!(
            numbers("15.0.7 (https://example.invalid/llvm 8dfdcc7)"),
            Some([15, 0, 7])
        );
        assert_eq!(numbers("17"), Some([17, 0, 0]));
        assert_eq!(numbers("1.0.0-rc.1"), Some([1, 0, 0]));
        assert_eq!(numbers("trunk"), None);
    }

    #[test]
    fn descriptions_of_2023_begin_with_the_name_of_the_world() {
        let mut producers = wasm_encoder::ProducersSection::new();
        let mut field = wasm_encoder::ProducersField::new();
        field
            .value("wit-component", "0.17.0")
            .value("wit-bindgen-rust", "0.13.2");
        producers.field("processed-by", &field);
        let mut component = wasm_encoder::Component::new();
        component.section(&producers);
        let world = [b"\x03\x00\x01w".as_slice(), &component.finish()].concat();
        assert_eq!(bindings_version(&world).as_deref(), Some("0.13.2"));
    }

    #[test]
    fn a_module_describes_its_world_and_its_exports() {
        let module = include_bytes!("../../tests/fixtures/loader/c-kv-core.wasm");
        let info = ModuleInfo::of(module).unwrap();
        assert!(info.has_world);
        assert_eq!(numbers(info.bindings.as_deref().unwrap()).unwrap()[0], 0);
        assert!(info.exports("cabi_realloc") && info.exports_memory);
    }
}
