//! A command: says what it was given, and ends as the variable `END` wants it: `ok`, `error`, `exit 7`, `panic`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args().collect();
    println!("arguments {arguments:?}");
    let mut input = String::new();
    let read = std::io::Read::read_to_string(&mut std::io::stdin(), &mut input);
    println!("input {read:?}");
    eprintln!("ending");
    match std::env::var("END").unwrap_or_default().as_str() {
        "error" => ExitCode::FAILURE,
        "panic" => panic!("as it was asked for"),
        "exit 7" => std::process::exit(7),
        _ => ExitCode::SUCCESS,
    }
}
