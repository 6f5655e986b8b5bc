//! Which stage of a request an instruction belongs to, by the file that it was written in.

use super::callgrind::Function;

/// What a request goes through.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Tokio: the socket's events, timers, the task.
    Tasks,
    /// Hyper and what it stands on: the request's head, the response's.
    Http,
    /// This project: whose request it is, what it may have, its headers, its counts.
    Daemon,
    /// Wasmtime: an instance, calls into it and out of it, its end.
    Engine,
    /// Wasmtime's `wasi` and `wasi:http`.
    Wasi,
    /// Compiled code.
    Guest,
    /// Memory taken and given back.
    Allocator,
    /// The C library: copies, calls of the kernel; and clocks.
    System,
    /// All other crates.
    Others,
}

/// Crates by the beginnings of their names; the first that fits counts.
const CRATES: [(&str, Stage); 22] = [
    ("tokio", Stage::Tasks),
    ("mio", Stage::Tasks),
    ("futures", Stage::Tasks),
    ("hyper", Stage::Http),
    ("http", Stage::Http),
    ("bytes", Stage::Http),
    ("atoi", Stage::Http),
    ("itoa", Stage::Http),
    ("lepton", Stage::Daemon),
    ("tauon", Stage::Daemon),
    ("load", Stage::Daemon),
    ("wasmtime-wasi", Stage::Wasi),
    ("wasmtime_wasi", Stage::Wasi),
    ("wasmtime", Stage::Engine),
    ("wasmparser", Stage::Engine),
    ("cranelift", Stage::Engine),
    ("libmimalloc", Stage::Allocator),
    ("mimalloc", Stage::Allocator),
    ("mi_", Stage::Allocator),
    ("_mi_", Stage::Allocator),
    ("std", Stage::System),
    ("rustix", Stage::System),
];
/// Where Cargo keeps the sources of crates.
const REGISTRY: &str = "/registry/src/";
/// The standard library's sources, of which much is inlined into whoever uses it.
const STANDARD: &str = "/rustc/";
/// Where the C library was built.
const C_LIBRARY: &str = "./";
const C_LIBRARY_ALLOCATOR: &str = "./malloc/";
const UNKNOWN: &str = "???";

impl Stage {
    pub fn name(self) -> &'static str {
        match self {
            Self::Tasks => "tasks",
            Self::Http => "http",
            Self::Daemon => "daemon",
            Self::Engine => "engine",
            Self::Wasi => "wasi",
            Self::Guest => "guest",
            Self::Allocator => "allocator",
            Self::System => "system",
            Self::Others => "others",
        }
    }

    pub fn of(function: &Function) -> Self {
        let Function { file, name, .. } = function;
        if let Some((_, path)) = file.split_once(REGISTRY) {
            return path.split('/').nth(1).and_then(of_crate).unwrap_or(Self::Others);
        }
        if file.starts_with(C_LIBRARY_ALLOCATOR) {
            return Self::Allocator;
        }
        if file.starts_with(C_LIBRARY) {
            return Self::System;
        }
        if *file == UNKNOWN && name.starts_with("0x") {
            return Self::Guest;
        }
        if file.starts_with(STANDARD) || *file == UNKNOWN {
            let mut words = name.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
            return words.find_map(of_crate).unwrap_or(Self::System);
        }
        Self::Daemon
    }
}

fn of_crate(name: &str) -> Option<Stage> {
    let known = CRATES.iter().find(|(start, _)| name.starts_with(start));
    known.map(|(_, stage)| *stage)
}
