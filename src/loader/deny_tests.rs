use super::*;
use crate::loader::testing::{component_of, engine};
use wasmtime::Store;
use wasmtime::component::{Component, Linker, ResourceType, Val};

/// Interfaces of the host's packages, with as much of them as their answers need.
const WIT: &str = r#"
package test:dependency;

world w {
    import fermyon:spin/redis;
    import fermyon:spin/variables@2.0.0;
    import fermyon:spin/llm@2.0.0;
    import fermyon:spin/mysql@2.0.0;
    import spin:postgres/postgres@4.2.0;
    import spin:key-value/key-value@3.0.0;
    import wasi:keyvalue/store@0.2.0-draft2;
    import wasi:keyvalue/batch@0.2.0-draft2;
    import wasi:config/store@0.2.0-draft-2024-09-27;
    import wasi:cli/environment@0.2.6;
    import wasi:filesystem/preopens@0.2.6;
    import wasi:http/outgoing-handler@0.2.6;
    import wasi:http/client@0.3.0;
    import wasi:sockets/tcp@0.2.6;
    import wasi:sockets/tcp-create-socket@0.2.6;
    import wasi:clocks/monotonic-clock@0.2.6;
}

package fermyon:spin {
    interface redis {
        enum error { success, error }
        get: func(address: string, key: string) -> result<list<u8>, error>;
    }
}
package fermyon:spin@2.0.0 {
    interface variables {
        variant error { invalid-name(string), undefined(string), provider(string), other(string) }
        get: func(name: string) -> result<string, error>;
    }
    interface llm {
        variant error { model-not-supported, runtime-error(string), invalid-input(string) }
        infer: func(model: string) -> result<string, error>;
    }
    interface mysql {
        variant error { connection-failed(string), other(string) }
        resource connection {
            open: static func(address: string) -> result<connection, error>;
            query: func(statement: string) -> result<u64, error>;
        }
    }
}
package spin:postgres@4.2.0 {
    interface postgres {
        record db-error { text: string, code: option<u64> }
        variant query-error { text(string), db-error(db-error) }
        variant error { connection-failed(string), query-failed(query-error), other(string) }
        resource connection {
            open-async: static async func(address: string) -> result<connection, error>;
        }
        resource connection-builder {
            constructor(address: string);
            set-ca-root: func(certificate: string) -> result<_, error>;
            build: func() -> result<connection, error>;
        }
    }
}
package spin:key-value@3.0.0 {
    interface key-value {
        variant error { store-table-full, no-such-store, access-denied, other(string) }
        resource store {
            open: static async func(label: string) -> result<store, error>;
            get-keys: async func() -> tuple<stream<string>, future<result<_, error>>>;
        }
    }
}
package wasi:keyvalue@0.2.0-draft2 {
    interface store {
        variant error { no-such-store, access-denied, other(string) }
        resource bucket { get: func(key: string) -> result<option<list<u8>>, error>; }
        open: func(identifier: string) -> result<bucket, error>;
    }
    interface batch {
        use store.{bucket, error};
        delete-many: func(bucket: borrow<bucket>, keys: list<string>) -> result<_, error>;
    }
}
package wasi:config@0.2.0-draft-2024-09-27 {
    interface store {
        variant error { upstream(string), io(string) }
        get: func(key: string) -> result<option<string>, error>;
    }
}
package wasi:cli@0.2.6 {
    interface environment {
        get-environment: func() -> list<tuple<string, string>>;
        get-arguments: func() -> list<string>;
        initial-cwd: func() -> option<string>;
    }
}
package wasi:filesystem@0.2.6 {
    interface types { resource descriptor { sync: func() -> bool; } }
    interface preopens {
        use types.{descriptor};
        get-directories: func() -> list<tuple<descriptor, string>>;
    }
}
package wasi:http@0.2.6 {
    interface types {
        resource outgoing-request { method: func() -> string; }
        resource future-incoming-response;
        variant error-code { DNS-timeout, HTTP-request-denied, internal-error(option<string>), size(option<u64>) }
    }
    interface outgoing-handler {
        use types.{outgoing-request, future-incoming-response, error-code};
        handle: func(request: outgoing-request) -> result<future-incoming-response, error-code>;
    }
}
package wasi:http@0.3.0 {
    interface types {
        resource request;
        resource response;
        variant error-code { DNS-timeout, internal-error(option<string>) }
    }
    interface client {
        use types.{request, response, error-code};
        send: async func(request: request) -> result<response, error-code>;
    }
}
package wasi:sockets@0.2.6 {
    interface network { enum error-code { unknown, access-denied, not-supported } }
    interface tcp {
        use network.{error-code};
        resource tcp-socket { shutdown: func() -> result<_, error-code>; }
    }
    interface tcp-create-socket {
        use network.{error-code};
        use tcp.{tcp-socket};
        create-tcp-socket: func(ipv6: bool) -> result<tcp-socket, error-code>;
    }
}
package wasi:clocks@0.2.6 {
    interface monotonic-clock { now: func() -> u64; }
}
"#;

struct Instance {
    store: Store<()>,
    instance: wasmtime::component::Instance,
}

/// Stands for the host's request resources.
struct Request;

async fn instance() -> Instance {
    let stub = stub(&component_of(WIT, None), &[]).unwrap().unwrap();
    let engine = engine();
    let component = Component::new(&engine, &stub.wasm).unwrap();
    let mut linker = Linker::new(&engine);
    let mut types = linker.instance("wasi:http/types@0.2.6").unwrap();
    for name in ["outgoing-request", "future-incoming-response"] {
        types
            .resource(name, ResourceType::host::<Request>(), |_, _| Ok(()))
            .unwrap();
    }
    let mut types = linker.instance("wasi:http/types@0.3.0").unwrap();
    for name in ["request", "response"] {
        types
            .resource(name, ResourceType::host::<Request>(), |_, _| Ok(()))
            .unwrap();
    }
    linker
        .instance("wasi:filesystem/types@0.2.6")
        .unwrap()
        .resource("descriptor", ResourceType::host::<Request>(), |_, _| Ok(()))
        .unwrap();
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate_async(&mut store, &component).await.unwrap();
    Instance { store, instance }
}

impl Instance {
    async fn try_call(&mut self, interface: &str, function: &str, args: &[Val]) -> wasmtime::Result<Val> {
        let (_, interface) = self
            .instance
            .get_export(&mut self.store, None, interface)
            .unwrap();
        let (_, index) = self
            .instance
            .get_export(&mut self.store, Some(&interface), function)
            .unwrap();
        let function = self.instance.get_func(&mut self.store, index).unwrap();
        let mut results = [Val::Bool(false)];
        function.call_async(&mut self.store, args, &mut results).await?;
        let [result] = results;
        Ok(result)
    }

    async fn call(&mut self, interface: &str, function: &str, args: &[Val]) -> Val {
        self.try_call(interface, function, args).await.unwrap()
    }
}

fn text(text: &str) -> Val {
    Val::String(text.to_owned())
}

fn error(value: Val) -> Val {
    Val::Result(Err(Some(Box::new(value))))
}

fn case(name: &str, payload: Option<Val>) -> Val {
    error(Val::Variant(name.to_owned(), payload.map(Box::new)))
}

#[tokio::test]
async fn openers_say_that_they_are_not_permitted() {
    let mut stub = instance().await;
    let kv = stub
        .call(
            "spin:key-value/key-value@3.0.0",
            "[static]store.open",
            &[text("default")],
        )
        .await;
    assert_eq!(kv, case("access-denied", None));
    let kv = stub
        .call("wasi:keyvalue/store@0.2.0-draft2", "open", &[text("default")])
        .await;
    assert_eq!(kv, case("access-denied", None));
    let db = stub
        .call(
            "fermyon:spin/mysql@2.0.0",
            "[static]connection.open",
            &[text("mysql://x")],
        )
        .await;
    assert_eq!(
        db,
        case("other", Some(text("\"fermyon:spin/mysql\" is not permitted")))
    );
    let db = stub
        .call(
            "spin:postgres/postgres@4.2.0",
            "[static]connection.open-async",
            &[text("x")],
        )
        .await;
    assert_eq!(
        db,
        case("other", Some(text("\"spin:postgres/postgres\" is not permitted")))
    );
}

#[tokio::test]
async fn a_builder_is_made_and_fails_when_it_builds() {
    let mut stub = instance().await;
    let pg = "spin:postgres/postgres@4.2.0";
    let builder = stub
        .call(pg, "[constructor]connection-builder", &[text("postgres://x")])
        .await;
    let set = stub
        .call(
            pg,
            "[method]connection-builder.set-ca-root",
            &[builder.clone(), text("pem")],
        )
        .await;
    assert_eq!(set, Val::Result(Ok(None)));
    let built = stub
        .call(pg, "[method]connection-builder.build", &[builder])
        .await;
    assert_eq!(
        built,
        case("other", Some(text("\"spin:postgres/postgres\" is not permitted")))
    );
}

#[tokio::test]
async fn variables_are_undefined_by_their_names_call_after_call() {
    let mut stub = instance().await;
    for round in 0..3 {
        let name = format!("name_{round}_{}", "x".repeat(100_000 * round));
        let answer = stub
            .call("fermyon:spin/variables@2.0.0", "get", &[text(&name)])
            .await;
        assert_eq!(answer, case("undefined", Some(text(&name))));
    }
    let config = stub
        .call("wasi:config/store@0.2.0-draft-2024-09-27", "get", &[text("x")])
        .await;
    assert_eq!(
        config,
        case("io", Some(text("\"wasi:config/store\" is not permitted")))
    );
}

#[tokio::test]
async fn plain_failures_need_no_text() {
    let mut stub = instance().await;
    let redis = stub
        .call("fermyon:spin/redis", "get", &[text("redis://x"), text("k")])
        .await;
    assert_eq!(redis, error(Val::Enum("error".to_owned())));
    let llm = stub.call("fermyon:spin/llm@2.0.0", "infer", &[text("m")]).await;
    assert_eq!(llm, case("model-not-supported", None));
    let socket = stub
        .call(
            "wasi:sockets/tcp-create-socket@0.2.6",
            "create-tcp-socket",
            &[Val::Bool(false)],
        )
        .await;
    assert_eq!(socket, error(Val::Enum("access-denied".to_owned())));
}

#[tokio::test]
async fn the_environment_and_the_directories_are_empty() {
    let mut stub = instance().await;
    let environment = "wasi:cli/environment@0.2.6";
    assert_eq!(
        stub.call(environment, "get-environment", &[]).await,
        Val::List(Vec::new())
    );
    assert_eq!(
        stub.call(environment, "get-arguments", &[]).await,
        Val::List(Vec::new())
    );
    assert_eq!(
        stub.call(environment, "initial-cwd", &[]).await,
        Val::Option(None)
    );
    let directories = stub
        .call("wasi:filesystem/preopens@0.2.6", "get-directories", &[])
        .await;
    assert_eq!(directories, Val::List(Vec::new()));
}

#[tokio::test]
async fn requests_fail_with_an_internal_error_in_both_versions() {
    let not_permitted = |interface: &str| {
        let reason = text(&format!("\"{interface}\" is not permitted"));
        case("internal-error", Some(Val::Option(Some(Box::new(reason)))))
    };
    let mut stub = instance().await;
    for (interface, function, version) in [
        ("wasi:http/outgoing-handler", "handle", "0.2.6"),
        ("wasi:http/client", "send", "0.3.0"),
    ] {
        let request = wasmtime::component::Resource::<Request>::new_own(7)
            .try_into_resource_any(&mut stub.store)
            .unwrap();
        let answer = stub
            .call(
                &format!("{interface}@{version}"),
                function,
                &[Val::Resource(request)],
            )
            .await;
        assert_eq!(answer, not_permitted(interface));
    }
}

#[test]
fn only_what_is_denied_and_what_depends_on_it_is_stubbed() {
    let component = component_of(WIT, None);
    let keys = |keys: &[&str]| keys.iter().map(|k| (*k).to_owned()).collect::<Vec<_>>();
    let all_but_stores = keys(&[
        "ai_models",
        "allowed_outbound_hosts",
        "environment",
        "files",
        "sqlite_databases",
        "variables",
    ]);
    let mut imports = stub(&component, &all_but_stores).unwrap().unwrap().imports;
    imports.sort();
    assert_eq!(
        imports,
        [
            "spin:key-value/key-value@3.0.0",
            "wasi:keyvalue/batch@0.2.0-draft2",
            "wasi:keyvalue/store@0.2.0-draft2"
        ]
    );
    let everything = [all_but_stores, keys(&["key_value_stores"])].concat();
    assert!(stub(&component, &everything).unwrap().is_none());
}
