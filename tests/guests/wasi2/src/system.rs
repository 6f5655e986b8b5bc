//! `wasi:clocks`, `wasi:random` and `wasi:cli`.

use calls::{Call, Misunderstood, show};
use serde_json::json;

use crate::Shown;
use crate::bindings::wasi::cli::{
    environment, exit, stderr, stdin, stdout, terminal_stderr, terminal_stdin, terminal_stdout,
};
use crate::bindings::wasi::clocks::{monotonic_clock, wall_clock};
use crate::bindings::wasi::random::{insecure, insecure_seed, random};
use crate::io::Io;

pub fn call(call: &mut Call, io: &mut Io) -> Shown {
    Ok(match call.function.as_str() {
        "clocks/monotonic-clock#now" => show(&(monotonic_clock::now() <= monotonic_clock::now())),
        "clocks/monotonic-clock#resolution" => show(&monotonic_clock::resolution()),
        "clocks/monotonic-clock#subscribe-instant" => {
            let when = monotonic_clock::now() + call.next::<u64>()?;
            io.pollables.add(monotonic_clock::subscribe_instant(when))
        }
        "clocks/monotonic-clock#subscribe-duration" => io
            .pollables
            .add(monotonic_clock::subscribe_duration(call.next()?)),
        "clocks/wall-clock#now" => show(&(wall_clock::now().seconds > call.next::<u64>()?)),
        "clocks/wall-clock#resolution" => show(&wall_clock::resolution()),
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
        "random/insecure-seed#insecure-seed" => {
            json!({"the same again": insecure_seed::insecure_seed() == insecure_seed::insecure_seed()})
        }
        "cli/environment#get-environment" => show(&environment::get_environment()),
        "cli/environment#get-arguments" => show(&environment::get_arguments()),
        "cli/environment#initial-cwd" => show(&environment::initial_cwd()),
        "cli/stdin#get-stdin" => io.inputs.add(stdin::get_stdin()),
        "cli/stdout#get-stdout" => io.outputs.add(stdout::get_stdout()),
        "cli/stderr#get-stderr" => io.outputs.add(stderr::get_stderr()),
        "cli/terminal-stdin#get-terminal-stdin" => show(&terminal_stdin::get_terminal_stdin().is_some()),
        "cli/terminal-stdout#get-terminal-stdout" => show(&terminal_stdout::get_terminal_stdout().is_some()),
        "cli/terminal-stderr#get-terminal-stderr" => show(&terminal_stderr::get_terminal_stderr().is_some()),
        "cli/exit#exit" => show(&exit::exit(call.next()?)),
        "cli/exit#exit-with-code" => show(&exit::exit_with_code(call.next()?)),
        other => return Err(Misunderstood::function(other)),
    })
}
