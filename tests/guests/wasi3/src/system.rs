//! `wasi:clocks`, `wasi:random` and `wasi:cli`.

use calls::{Call, Misunderstood, show};
use serde_json::json;

use crate::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::clocks::{monotonic_clock, system_clock};
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::{Shown, stream, text};

pub async fn call(call: &mut Call) -> Shown {
    Ok(match call.function.as_str() {
        "clocks/monotonic-clock#now" => show(&(monotonic_clock::now() <= monotonic_clock::now())),
        "clocks/monotonic-clock#get-resolution" => show(&monotonic_clock::get_resolution()),
        "clocks/monotonic-clock#wait-until" => {
            let when = monotonic_clock::now() + call.next::<u64>()?;
            monotonic_clock::wait_until(when).await;
            show(&(monotonic_clock::now() >= when))
        }
        "clocks/monotonic-clock#wait-for" => {
            let (begun, time) = (monotonic_clock::now(), call.next()?);
            monotonic_clock::wait_for(time).await;
            show(&(monotonic_clock::now() - begun >= time))
        }
        "clocks/system-clock#now" => show(&(system_clock::now().seconds > call.next::<i64>()?)),
        "clocks/system-clock#get-resolution" => show(&system_clock::get_resolution()),
        // What is random is told by whether two differ.
        "random/random#get-random-bytes" => {
            let length = call.next()?;
            let (one, other) = (random::get_random_bytes(length), random::get_random_bytes(length));
            json!({"bytes": one.len(), "differ": one != other})
        }
        "random/random#get-random-u64" => {
            json!({"differ": random::get_random_u64() != random::get_random_u64()})
        }
        "random/insecure#get-insecure-random-bytes" => {
            let length = call.next()?;
            let one = insecure::get_insecure_random_bytes(length);
            json!({"bytes": one.len(), "differ": one != insecure::get_insecure_random_bytes(length)})
        }
        "random/insecure#get-insecure-random-u64" => {
            json!({"differ": insecure::get_insecure_random_u64() != insecure::get_insecure_random_u64()})
        }
        "random/insecure-seed#get-insecure-seed" => {
            json!({"the same again": insecure_seed::get_insecure_seed() == insecure_seed::get_insecure_seed()})
        }
        "cli/environment#get-environment" => show(&environment::get_environment()),
        "cli/environment#get-arguments" => show(&environment::get_arguments()),
        "cli/environment#get-initial-cwd" => show(&environment::get_initial_cwd()),
        "cli/stdin#read-via-stream" => {
            let (input, ended) = stdin::read_via_stream();
            let bytes = input.collect().await;
            json!([text(&bytes), show(&ended.await)])
        }
        "cli/stdout#write-via-stream" => show(&stdout::write_via_stream(stream(call.next()?)).await),
        "cli/stderr#write-via-stream" => show(&stderr::write_via_stream(stream(call.next()?)).await),
        "cli/terminal-stdin#get-terminal-stdin" => show(&terminal_stdin::get_terminal_stdin().is_some()),
        "cli/terminal-stdout#get-terminal-stdout" => show(&terminal_stdout::get_terminal_stdout().is_some()),
        "cli/terminal-stderr#get-terminal-stderr" => show(&terminal_stderr::get_terminal_stderr().is_some()),
        "cli/exit#exit" => show(&exit::exit(call.next()?)),
        "cli/exit#exit-with-code" => show(&exit::exit_with_code(call.next()?)),
        other => return Err(Misunderstood::function(other)),
    })
}
