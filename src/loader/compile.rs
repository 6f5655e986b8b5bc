//! Code for the engine that a component needs.

use wasmparser::{Parser, Payload};

use crate::runtime::{EngineKind, Engines};

/// Compiles a component, or a command, for the engine without concurrency if that can run it.
pub(super) fn compile(engines: &Engines, wasm: &[u8]) -> wasmtime::Result<(EngineKind, Vec<u8>)> {
    let plain = engines.get(EngineKind::Plain);
    if Parser::is_core_wasm(wasm) {
        return Ok((EngineKind::Plain, plain.precompile_module(wasm)?));
    }
    // What uses concurrency without importing it is refused by this engine before anything is compiled.
    if !imports(wasm).any(|name| engines.is_concurrent(name))
        && let Ok(code) = plain.precompile_component(wasm)
    {
        return Ok((EngineKind::Plain, code));
    }
    let concurrent = engines.get(EngineKind::Concurrent);
    Ok((EngineKind::Concurrent, concurrent.precompile_component(wasm)?))
}

/// What the component itself imports, and none within it. It ends where the component is damaged.
fn imports(wasm: &[u8]) -> impl Iterator<Item = &str> {
    let mut depth = 0;
    let payloads = Parser::new(0).parse_all(wasm).map_while(Result::ok);
    let sections = payloads.filter_map(move |payload| {
        match payload {
            Payload::Version { .. } => depth += 1,
            Payload::End(_) => depth -= 1,
            Payload::ComponentImportSection(imports) if depth == 1 => return Some(imports),
            _ => {}
        }
        None
    });
    sections
        .flat_map(|imports| imports.into_iter().map_while(Result::ok))
        .map(|import| import.name.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_has_its_own_imports_only() {
        let wasm = wat::parse_str(
            r#"(component
                (component (import "acme:inner/one@1.0.0" (instance)))
                (import "acme:outer/one@1.0.0" (instance))
                (core module (import "m" "f" (func)))
                (import "acme:outer/two@1.0.0" (instance)))"#,
        )
        .unwrap();
        let found: Vec<_> = imports(&wasm).collect();
        assert_eq!(found, ["acme:outer/one@1.0.0", "acme:outer/two@1.0.0"]);
    }

    #[test]
    fn the_engine_is_the_one_that_a_component_needs() {
        let engines = Engines::testing();
        for (text, kind) in [
            ("(module)", EngineKind::Plain),
            ("(component)", EngineKind::Plain),
            (
                r#"(component (import "acme:a/one@1.0.0" (instance (export "f" (func)))))"#,
                EngineKind::Plain,
            ),
            (
                r#"(component (import "acme:a/one@3.0.0" (instance (export "f" (func)))))"#,
                EngineKind::Concurrent,
            ),
            (
                r#"(component (import "acme:a/one@1.0.0" (instance (export "f" (func async)))))"#,
                EngineKind::Concurrent,
            ),
            (
                "(component (component (type (future u32))))",
                EngineKind::Concurrent,
            ),
        ] {
            let wasm = wat::parse_str(text).unwrap();
            assert_eq!(compile(&engines, &wasm).unwrap().0, kind, "{text}");
        }
    }
}
