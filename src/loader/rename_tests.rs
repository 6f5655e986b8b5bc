use super::*;
use crate::loader::HandlerType;
use crate::loader::testing::{component_exporting, engine};
use wasmtime::component::{Component, Linker};

#[test]
fn a_guest_that_imports_candidate_and_final_links_against_the_final_version() {
    let wasm = wat::parse_str(
        r#"(component
            (import "wasi:random/random@0.3.0" (instance (export "f" (func))))
            (import "wasi:random/random@0.3.0-rc-2026-03-15" (instance (export "f" (func))))
            (component (import "wasi:random/random@0.3.0-rc-2026-03-15" (instance (export "f" (func)))))
            (core module (func))
            (@custom "note" "wasi:x@0.3.0-rc-2026-03-15")
        )"#,
    )
    .unwrap();
    let renamed = rename_candidate(&wasm).unwrap();
    wasmparser::Validator::new_with_features(wasmparser::WasmFeatures::all())
        .validate_all(&renamed)
        .unwrap();

    let engine = engine();
    let component = Component::new(&engine, &renamed).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker
        .instance("wasi:random/random@0.3.0")
        .unwrap()
        .func_wrap("f", |_, (): ()| Ok(()))
        .unwrap();
    linker.instantiate_pre(&component).unwrap();
}

#[test]
fn an_exported_handler_is_found_by_the_final_name_and_known_as_candidate() {
    let wasm = component_exporting(&["wasi:http/handler@0.3.0-rc-2026-03-15"]);
    let renamed = rename_candidate(&wasm).unwrap();
    let component = Component::new(&engine(), &renamed).unwrap();
    assert_eq!(
        HandlerType::of(&component, "web").unwrap(),
        HandlerType::Wasi0_3Rc
    );
    assert!(
        component
            .get_export_index(None, "wasi:http/handler@0.3.0")
            .is_some()
    );
}

#[test]
fn what_has_no_candidate_passes_through() {
    let wasm = component_exporting(&["wasi:http/handler@0.3.0"]);
    assert!(matches!(rename_candidate(&wasm).unwrap(), Cow::Borrowed(_)));
}

#[test]
fn packages_outside_wasi_keep_their_names() {
    let wasm = component_exporting(&["acme:x/y@0.3.0-rc-2026-03-15"]);
    let renamed = rename_candidate(&wasm).unwrap();
    let component = Component::new(&engine(), &renamed).unwrap();
    assert!(
        component
            .get_export_index(None, "acme:x/y@0.3.0-rc-2026-03-15")
            .is_some()
    );
}
