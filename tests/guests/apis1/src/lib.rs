//! Every function of the unversioned `fermyon:spin` interfaces, as guests of Spin 1 import them. The path names the
//! interface, the body is a script: see the crate `calls`.

use calls::{Call, Misunderstood, script, show};
use serde_json::{Value, json};

mod bindings {
    wit_bindgen::generate!({
        inline: "
            package lepton:apis1;
            world apis {
                import fermyon:spin/config;
                import fermyon:spin/http;
                import fermyon:spin/key-value;
                import fermyon:spin/llm;
                import fermyon:spin/mysql;
                import fermyon:spin/postgres;
                import fermyon:spin/redis;
                import fermyon:spin/sqlite;
                export fermyon:spin/inbound-http;
            }
        ",
        path: "../../../wit/host",
        world: "lepton:apis1/apis",
        additional_derives: [serde::Serialize, serde::Deserialize],
        generate_all,
    });
}

use bindings::exports::fermyon::spin::inbound_http::{Guest, Request, Response};
use bindings::fermyon::spin::{config, http, key_value, llm, mysql, postgres, redis, sqlite};

struct Apis;

impl Guest for Apis {
    fn handle_request(request: Request) -> Response {
        let path = request.uri.split('?').next().unwrap_or_default();
        let interface = path.trim_start_matches('/');
        let body = String::from_utf8(request.body.unwrap_or_default()).unwrap_or_default();
        let (status, body) = match run(interface, &body) {
            Ok(lines) => (200, lines),
            Err(error) => (400, error.to_string()),
        };
        Response {
            status,
            headers: Some(vec![("content-type".into(), "application/jsonl".into())]),
            body: Some(body.into_bytes()),
        }
    }
}

bindings::export!(Apis with_types_in bindings);

fn run(interface: &str, body: &str) -> Result<String, Misunderstood> {
    let mut lines = String::new();
    for mut call in script(body)? {
        let result = match interface {
            "config" => config(&mut call),
            "http" => http(&mut call),
            "key-value" => key_value(&mut call),
            "llm" => llm(&mut call),
            "mysql" => mysql(&mut call),
            "postgres" => postgres(&mut call),
            "redis" => redis(&mut call),
            "sqlite" => sqlite(&mut call),
            other => Err(Misunderstood::new(format!("no interface {other}"))),
        };
        lines += &call.line(result?);
    }
    Ok(lines)
}

type Result1 = Result<Value, Misunderstood>;

fn config(call: &mut Call) -> Result1 {
    Ok(match call.function.as_str() {
        "get-config" => show(&config::get_config(&call.next::<String>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

fn http(call: &mut Call) -> Result1 {
    Ok(match call.function.as_str() {
        "send-request" => show(&http::send_request(&call.next()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

/// Handles are the host's numbers; a script that wants the one it opened says `null`.
fn handle(call: &mut Call, opened: u32) -> Result<u32, Misunderstood> {
    Ok(call.next::<Option<u32>>()?.unwrap_or(opened))
}

fn key_value(call: &mut Call) -> Result1 {
    use key_value::*;
    Ok(match call.function.as_str() {
        "open" => keep(open(&call.next::<String>()?)),
        "get" => show(&get(handle(call, last())?, &call.next::<String>()?)),
        "set" => show(&set(
            handle(call, last())?,
            &call.next::<String>()?,
            &call.next::<Vec<u8>>()?,
        )),
        "delete" => show(&delete(handle(call, last())?, &call.next::<String>()?)),
        "exists" => show(&exists(handle(call, last())?, &call.next::<String>()?)),
        "get-keys" => show(&get_keys(handle(call, last())?).map(sorted)),
        "close" => show(&close(handle(call, last())?)),
        other => return Err(Misunderstood::function(other)),
    })
}

fn sqlite(call: &mut Call) -> Result1 {
    use sqlite::*;
    Ok(match call.function.as_str() {
        "open" => keep(open(&call.next::<String>()?)),
        "execute" => show(&execute(
            handle(call, last())?,
            &call.next::<String>()?,
            &call.next::<Vec<_>>()?,
        )),
        "close" => show(&close(handle(call, last())?)),
        other => return Err(Misunderstood::function(other)),
    })
}

fn redis(call: &mut Call) -> Result1 {
    use redis::*;
    let address: String = call.next()?;
    Ok(match call.function.as_str() {
        "publish" => show(&publish(
            &address,
            &call.next::<String>()?,
            &call.next::<Vec<u8>>()?,
        )),
        "get" => show(&get(&address, &call.next::<String>()?)),
        "set" => show(&set(&address, &call.next::<String>()?, &call.next::<Vec<u8>>()?)),
        "incr" => show(&incr(&address, &call.next::<String>()?)),
        "del" => show(&del(&address, &call.next::<Vec<_>>()?)),
        "sadd" => show(&sadd(&address, &call.next::<String>()?, &call.next::<Vec<_>>()?)),
        "smembers" => show(&smembers(&address, &call.next::<String>()?).map(sorted)),
        "srem" => show(&srem(&address, &call.next::<String>()?, &call.next::<Vec<_>>()?)),
        "execute" => show(&execute(
            &address,
            &call.next::<String>()?,
            &call.next::<Vec<_>>()?,
        )),
        other => return Err(Misunderstood::function(other)),
    })
}

fn mysql(call: &mut Call) -> Result1 {
    use mysql::*;
    let (address, statement): (String, String) = (call.next()?, call.next()?);
    Ok(match call.function.as_str() {
        "query" => show(&query(&address, &statement, &call.next::<Vec<_>>()?)),
        "execute" => show(&execute(&address, &statement, &call.next::<Vec<_>>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

fn postgres(call: &mut Call) -> Result1 {
    use postgres::*;
    let (address, statement): (String, String) = (call.next()?, call.next()?);
    Ok(match call.function.as_str() {
        "query" => show(&query(&address, &statement, &call.next::<Vec<_>>()?)),
        "execute" => show(&execute(&address, &statement, &call.next::<Vec<_>>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

fn llm(call: &mut Call) -> Result1 {
    use llm::*;
    let model: String = call.next()?;
    Ok(match call.function.as_str() {
        "infer" => show(&infer(&model, &call.next::<String>()?, call.next()?)),
        "generate-embeddings" => show(&generate_embeddings(&model, &call.next::<Vec<_>>()?)),
        other => return Err(Misunderstood::function(other)),
    })
}

/// No order of keys and members is promised.
fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

thread_local! {
    static LAST: std::cell::Cell<u32> = const { std::cell::Cell::new(u32::MAX) };
}

/// The handle that this script opened last.
fn last() -> u32 {
    LAST.get()
}

/// Which number a handle has is the host's choice: only that there is one is told.
fn keep<E: serde::Serialize>(opened: Result<u32, E>) -> Value {
    match opened {
        Ok(handle) => {
            LAST.set(handle);
            json!({"ok": "opened"})
        }
        Err(error) => json!({"err": show(&error)}),
    }
}

/// What modules of before components exported for their host to free what they returned.
#[cfg(target_env = "p1")]
#[unsafe(no_mangle)]
extern "C" fn canonical_abi_free(pointer: *mut u8, length: usize, align: usize) {
    if let Ok(layout) = std::alloc::Layout::from_size_align(length, align)
        && length > 0
    {
        // SAFETY: the host passes what `cabi_realloc` or this guest allocated, once.
        unsafe { std::alloc::dealloc(pointer, layout) }
    }
}
