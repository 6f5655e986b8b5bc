use super::*;
use crate::loader::HandlerType;
use crate::loader::handler::CommandType;
use crate::loader::testing::engine;
use wasmtime::component::{Component, Linker, ResourceTable, Val};
use wasmtime::{Engine, Store};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

/// A module as an SDK of 1.x makes it: reads a variable, logs through preview 1, answers 200 with the variable.
const OLD_SPIN: &str = r#"(module
    (import "spin-config" "get-config" (func $get (param i32 i32 i32)))
    (import "wasi-outbound-http" "request" (func (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)))
    (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
    (memory (export "memory") 1)
    (global $top (mut i32) (i32.const 4096))
    (data (i32.const 0) "greeting")
    (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
        (local.set $at (i32.and (i32.add (global.get $top) (i32.const 7)) (i32.const -8)))
        (global.set $top (i32.add (local.get $at) (local.get 3)))
        (if (i32.gt_u (global.get $top) (i32.shl (memory.size) (i32.const 16)))
            (then (drop (memory.grow (i32.const 2)))))
        (local.get $at))
    (func (export "canonical_abi_free") (param i32 i32 i32))
    (func (export "handle-http-request") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32) (result i32)
        (call $get (i32.const 0) (i32.const 8) (i32.const 64))
        ;; iovec at 128: the variable's text
        (i32.store (i32.const 128) (i32.load (i32.const 68)))
        (i32.store (i32.const 132) (i32.load (i32.const 72)))
        (drop (call $write (i32.const 1) (i32.const 128) (i32.const 1) (i32.const 136)))
        ;; response at 256: status, no headers, body
        (i32.store16 (i32.const 256) (i32.const 200))
        (i32.store8 (i32.const 260) (i32.const 0))
        (i32.store8 (i32.const 272) (i32.const 1))
        (i32.store (i32.const 276) (i32.load (i32.const 68)))
        (i32.store (i32.const 280) (i32.load (i32.const 72)))
        (i32.const 256))
)"#;

struct Host {
    wasi: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Host {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView {
            ctx: &mut self.wasi,
            table: &mut self.table,
        }
    }
}

fn linker(engine: &Engine) -> Linker<Host> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    linker
}

fn component(module: &[u8]) -> Component {
    Component::new(&engine(), componentize(module).unwrap()).unwrap()
}

#[test]
fn a_component_passes_through() {
    let wasm = include_bytes!("../../tests/fixtures/loader/wat-hello.wasm");
    assert!(matches!(componentize(wasm).unwrap(), Cow::Borrowed(_)));
}

#[test]
fn a_module_with_a_described_world_becomes_a_handler() {
    let component = component(include_bytes!("../../tests/fixtures/loader/c-kv-core.wasm"));
    HandlerType::of(&component, "kv").unwrap();
}

#[tokio::test]
async fn an_old_spin_module_answers_with_what_the_host_told_it() {
    let module = wat::parse_str(OLD_SPIN).unwrap();
    let component = component(&module);
    assert_eq!(
        HandlerType::of(&component, "old").unwrap(),
        HandlerType::SpinInbound
    );

    let engine = component.engine().clone();
    let mut linker = linker(&engine);
    linker
        .instance("fermyon:spin/config")
        .unwrap()
        .func_new("get-config", |_, _, args, results| {
            let [Val::String(name)] = args else {
                panic!("{args:?}")
            };
            results[0] = Val::Result(Ok(Some(Box::new(Val::String(format!("{name} of the day"))))));
            Ok(())
        })
        .unwrap();
    linker
        .instance("fermyon:spin/http")
        .unwrap()
        .func_new("send-request", |_, _, _, _| Ok(()))
        .unwrap();
    let stdout = wasmtime_wasi::p2::pipe::MemoryOutputPipe::new(1024);
    let host = Host {
        wasi: WasiCtx::builder().stdout(stdout.clone()).build(),
        table: ResourceTable::new(),
    };
    let mut store = Store::new(&engine, host);
    let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
    let (_, interface) = instance
        .get_export(&mut store, None, "fermyon:spin/inbound-http")
        .unwrap();
    let (_, handle) = instance
        .get_export(&mut store, Some(&interface), "handle-request")
        .unwrap();
    let request = Val::Record(vec![
        ("method".to_owned(), Val::Enum("get".to_owned())),
        ("uri".to_owned(), Val::String("/".to_owned())),
        ("headers".to_owned(), Val::List(Vec::new())),
        ("params".to_owned(), Val::List(Vec::new())),
        ("body".to_owned(), Val::Option(None)),
    ]);
    let mut results = [Val::Bool(false)];
    instance
        .get_func(&mut store, handle)
        .unwrap()
        .call_async(&mut store, &[request], &mut results)
        .await
        .unwrap();
    let Val::Record(response) = &results[0] else {
        panic!("{results:?}")
    };
    assert_eq!(response[0].1, Val::U16(200));
    let body: Vec<Val> = "greeting of the day".bytes().map(Val::U8).collect();
    assert_eq!(response[2].1, Val::Option(Some(Box::new(Val::List(body)))));
    assert_eq!(stdout.contents(), "greeting of the day");
}

#[test]
fn an_old_redis_module_exports_its_handler() {
    let module = r#"(module
        (import "outbound-redis" "publish" (func (param i32 i32 i32 i32 i32 i32 i32)))
        (memory (export "memory") 1)
        (func (export "canonical_abi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
        (func (export "canonical_abi_free") (param i32 i32 i32))
        (func (export "handle-redis-message") (param i32 i32) (result i32) i32.const 0))"#;
    let component = component(&wat::parse_str(module).unwrap());
    assert!(
        component
            .get_export_index(None, "fermyon:spin/inbound-redis")
            .is_some()
    );
    let ty = component.component_type();
    assert!(ty.get_import(component.engine(), "fermyon:spin/redis").is_some());
    assert!(ty.get_import(component.engine(), "fermyon:spin/mysql").is_none());
}

#[test]
fn a_plain_command_becomes_a_command() {
    let module = r#"(module
        (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
        (memory (export "memory") 1)
        (func (export "_start") (call $exit (i32.const 0))))"#;
    let component = component(&wat::parse_str(module).unwrap());
    assert_eq!(CommandType::of(&component, "job").unwrap(), CommandType::Wasi0_2);
    linker(component.engine()).instantiate_pre(&component).unwrap();
}

#[test]
fn a_command_of_an_unsafe_compiler_is_refused() {
    for (version, refused) in [
        ("14.0.0 (Debian)", true),
        ("15.0.6", true),
        ("15.0.7", false),
        ("19.1.0", false),
    ] {
        let mut producers = wasm_encoder::ProducersSection::new();
        let mut field = wasm_encoder::ProducersField::new();
        field.value("clang", version);
        producers.field("processed-by", &field);
        let mut module =
            wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "_start")))"#).unwrap();
        let mut section = Vec::new();
        wasm_encoder::Encode::encode(&producers, &mut section);
        module.push(0);
        module.extend_from_slice(&section);
        match componentize(&module) {
            Err(LoadError::UnsafeToolchain { version: found }) => assert!(refused && found == version),
            other => assert!(!refused, "{version}: {:?}", other.err()),
        }
    }
}

#[test]
fn bindings_of_another_generation_are_refused() {
    let with = |version: &str| ModuleInfo {
        has_world: true,
        bindings: Some(version.to_owned()),
        ..ModuleInfo::default()
    };
    for version in ["0.4.0", "1.0.0", "newest"] {
        assert!(
            matches!(kind(&with(version)), Err(LoadError::UnsupportedBindings { .. })),
            "{version}"
        );
    }
    for version in ["0.5.0", "0.16.0", "0.57.1"] {
        assert_eq!(kind(&with(version)).unwrap(), Kind::Bindings, "{version}");
    }
}

#[test]
fn a_described_world_is_enough_even_without_the_name_of_a_tool() {
    let info = ModuleInfo {
        has_world: true,
        exports: vec!["cabi_realloc".to_owned()],
        ..ModuleInfo::default()
    };
    assert_eq!(kind(&info).unwrap(), Kind::Bindings);
    let old = ModuleInfo {
        exports: vec!["handle-http-request".to_owned()],
        ..info
    };
    assert_eq!(kind(&old).unwrap(), Kind::OldSpin);
}

#[test]
fn a_module_that_is_nothing_of_these_is_told_what_is_missing() {
    let module = wat::parse_str(r#"(module (memory (export "memory") 1) (func (export "run")))"#).unwrap();
    let error = componentize(&module).unwrap_err();
    assert!(error.to_string().contains("`handle-http-request`"), "{error}");
    assert!(matches!(componentize(b"not wasm"), Err(LoadError::Malformed(_))));
}
