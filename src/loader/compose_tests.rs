use super::*;
use crate::loader::testing::{component_of, engine};
use wasmtime::Store;
use wasmtime::component::{Component, Linker};

const ROOT_WIT: &str = r#"
package test:root;
world w {
    import acme:math/add@1.0.0;
    import wasi:cli/environment@0.2.0;
    export run: func(a: u32) -> u32;
}
package acme:math@1.0.0 { interface add { add: func(a: u32, b: u32) -> u32; } }
package wasi:cli@0.2.0 { interface environment { get-arguments: func() -> list<string>; } }
"#;
/// `add(a, 1)`.
const ROOT_CORE: &str = r#"(module
    (import "acme:math/add@1.0.0" "add" (func $add (param i32 i32) (result i32)))
    (import "wasi:cli/environment@0.2.0" "get-arguments" (func $args (param i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "run") (param i32) (result i32) (call $add (local.get 0) (i32.const 1))))"#;

/// `a + b + 100 * number of arguments`.
const ADD_CORE: &str = r#"(module
    (import "wasi:cli/environment@0.2.3" "get-arguments" (func $args (param i32)))
    (memory (export "memory") 1)
    (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "EXPORT#add") (param i32 i32) (result i32)
        (call $args (i32.const 8))
        (i32.add (i32.add (local.get 0) (local.get 1)) (i32.mul (i32.const 100) (i32.load (i32.const 12))))))"#;

fn root() -> Vec<u8> {
    component_of(ROOT_WIT, Some(ROOT_CORE))
}

/// Exports an adder from the package given.
fn adder(package: &str, ty: &str) -> Vec<u8> {
    let wit = format!(
        r#"
        package test:dependency;
        world w {{
            import wasi:cli/environment@0.2.3;
            export {};
        }}
        package {package} {{ interface add {{ add: func(a: {ty}, b: {ty}) -> {ty}; }} }}
        package wasi:cli@0.2.3 {{ interface environment {{ get-arguments: func() -> list<string>; }} }}"#,
        export(package)
    );
    component_of(&wit, Some(&ADD_CORE.replace("EXPORT", &export(package))))
}

fn export(package: &str) -> String {
    let (name, version) = package.split_once('@').unwrap();
    format!("{name}/add@{version}")
}

fn dependency(name: &str) -> Dependency {
    Dependency {
        name: name.to_owned(),
        wasm: adder("acme:math@1.0.0", "u32"),
        export: None,
        inherit: Inherit::Some(Vec::new()),
    }
}

/// Runs the composition on a host with two arguments.
async fn run(wasm: &[u8], a: u32) -> u32 {
    let engine = engine();
    let component = Component::new(&engine, wasm).unwrap();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker
        .instance("wasi:cli/environment@0.2.12")
        .unwrap()
        .func_wrap("get-arguments", |_, (): ()| {
            Ok((vec!["a".to_owned(), "b".to_owned()],))
        })
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
    let run = instance
        .get_typed_func::<(u32,), (u32,)>(&mut store, "run")
        .unwrap();
    run.call_async(&mut store, (a,)).await.unwrap().0
}

#[tokio::test]
async fn a_dependency_answers_the_import_and_sees_nothing_of_the_host() {
    for name in [
        "acme:math",
        "acme:math/add",
        "acme:math/add@1.0.0",
        "acme:math@1.0.0",
    ] {
        let composed = compose(root(), vec![dependency(name)]).unwrap();
        assert_eq!(run(&composed, 4).await, 5, "{name}");
    }
}

#[tokio::test]
async fn a_dependency_sees_what_it_inherits() {
    for inherit in [Inherit::All, Inherit::Some(vec!["environment".to_owned()])] {
        let dependency = Dependency {
            inherit,
            ..dependency("acme:math/add")
        };
        assert_eq!(run(&compose(root(), vec![dependency]).unwrap(), 4).await, 205);
    }
}

#[tokio::test]
async fn an_export_of_another_name_is_used_when_it_is_named() {
    let dependency = Dependency {
        wasm: adder("other:maths@2.0.0", "u32"),
        export: Some("other:maths/add@2.0.0".to_owned()),
        ..dependency("acme:math/add")
    };
    assert_eq!(run(&compose(root(), vec![dependency]).unwrap(), 4).await, 5);
}

#[test]
fn without_dependencies_the_root_comes_back() {
    assert_eq!(compose(root(), Vec::new()).unwrap(), root());
}

#[test]
fn what_does_not_fit_is_named() {
    let no_import = compose(root(), vec![dependency("acme:mail")]).unwrap_err();
    assert!(
        no_import.to_string().contains("acme:math/add@1.0.0"),
        "{no_import}"
    );

    let twice = compose(root(), vec![dependency("acme:math"), dependency("acme:math/add")]).unwrap_err();
    assert!(
        twice
            .to_string()
            .contains("also satisfied by dependency `acme:math`"),
        "{twice}"
    );

    let absent = Dependency {
        export: Some("acme:math/sub@1.0.0".to_owned()),
        ..dependency("acme:math")
    };
    let absent = compose(root(), vec![absent]).unwrap_err();
    assert!(
        absent.to_string().contains("no export `acme:math/sub@1.0.0`"),
        "{absent}"
    );

    let other_type = Dependency {
        wasm: adder("acme:math@1.0.0", "s32"),
        ..dependency("acme:math")
    };
    let other_type = compose(root(), vec![other_type]).unwrap_err();
    assert!(
        matches!(other_type, LoadError::ComposeGraph { .. }),
        "{other_type}"
    );
}

#[test]
fn middleware_is_composed_like_any_dependency() {
    const HANDLER: &str = r#"
        package test:handler;
        world w { IMPORT export wasi:http/handler@0.3.0; }
        package wasi:http@0.3.0 {
            interface types { resource request; resource response; variant error-code { internal-error(option<string>) } }
            interface handler {
                use types.{request, response, error-code};
                handle: async func(request: request) -> result<response, error-code>;
            }
            interface client {
                use types.{request, response, error-code};
                send: async func(request: request) -> result<response, error-code>;
            }
        }"#;
    let middle = component_of(
        &HANDLER.replace("IMPORT", "import wasi:http/handler@0.3.0;"),
        None,
    );
    let primary = component_of(&HANDLER.replace("IMPORT", "import wasi:http/client@0.3.0;"), None);
    let inner = |wasm| Dependency {
        name: "wasi:http/handler@0.3.0".to_owned(),
        wasm,
        export: None,
        inherit: Inherit::All,
    };
    let one = compose(middle.clone(), vec![inner(primary)]).unwrap();
    let two = compose(middle, vec![inner(one)]).unwrap();
    let component = Component::new(&engine(), two).unwrap();
    let ty = component.component_type();
    assert!(
        ty.get_export(component.engine(), "wasi:http/handler@0.3.0")
            .is_some()
    );
    assert!(
        ty.get_import(component.engine(), "wasi:http/handler@0.3.0")
            .is_none()
    );
    assert!(
        ty.get_import(component.engine(), "wasi:http/client@0.3.0")
            .is_some()
    );
}

#[test]
fn a_dependency_with_denied_requests_keeps_the_hosts_types() {
    const WIT: &str = r#"
        package test:d;
        world w { import wasi:http/outgoing-handler@0.2.3; export acme:math/add@1.0.0; }
        package acme:math@1.0.0 { interface add { add: func(a: u32, b: u32) -> u32; } }
        package wasi:http@0.2.3 {
            interface types { resource outgoing-request; resource response; variant error-code { internal-error(option<string>) } }
            interface outgoing-handler {
                use types.{outgoing-request, response, error-code};
                handle: func(request: outgoing-request) -> result<response, error-code>;
            }
        }"#;
    let dependency = Dependency {
        wasm: component_of(WIT, None),
        ..dependency("acme:math")
    };
    let composed = compose(root(), vec![dependency]).unwrap();
    let component = Component::new(&engine(), composed).unwrap();
    let ty = component.component_type();
    assert!(
        ty.get_import(component.engine(), "wasi:http/types@0.2.3")
            .is_some()
    );
    assert!(
        ty.get_import(component.engine(), "wasi:http/outgoing-handler@0.2.3")
            .is_none()
    );
}
