//! A program for the Wagi executor: `PATH_INFO` says what it does. A path that names no action is reported on.

use std::io::Read;
use std::{env, fs, process};

fn main() {
    match env::var("PATH_INFO").unwrap_or_default().as_str() {
        "/redirect" => println!("Location: /there\n"),
        "/status" => println!("Status: 418 I'm a teapot\r\nX-Kind: pot\r\n\r\nshort and stout"),
        "/odd-status" => println!("Status: fine\n"),
        "/plain" => println!("text without a header"),
        "/silent" => {}
        "/exit" => {
            println!("content-type: text/plain\n");
            process::exit(3)
        }
        "/exit-well" => {
            println!("content-type: text/plain\n\nwell");
            process::exit(0)
        }
        "/trap" => process::abort(),
        "/file" => println!(
            "content-type: text/plain\n\n{}",
            fs::read_to_string("/data.txt").unwrap_or_else(|error| error.kind().to_string())
        ),
        "/bytes" => {
            let n = env::var("QUERY_STRING")
                .ok()
                .and_then(|n| n.parse().ok())
                .unwrap_or(0);
            print!("content-type: text/plain\n\n{}", "x".repeat(n));
        }
        _ => report(),
    }
}

/// Arguments, environment, input: a line for each.
fn report() {
    let mut input = String::new();
    let read = std::io::stdin().read_to_string(&mut input);
    eprintln!("reporting");
    println!("Content-Type: text/plain\n");
    for argument in env::args() {
        println!("arg {argument}");
    }
    for (name, value) in env::vars() {
        println!("env {name}={value}");
    }
    println!("input {read:?} {input}");
}
