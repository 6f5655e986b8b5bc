//! The two release candidates of WASI 0.2 that apps of late 2023 are built against, served by the 0.2 implementation of
//! `wasmtime-wasi` and `wasmtime-wasi-http` (`docs/contract/host-interfaces.md` §7.2).
//!
//! A pre-release version matches by its exact text, so every function has to be linked again under the old names. Wasmtime
//! compares types by their shape, and nearly every shape is the one of 0.2: the functions are therefore linked by hand with
//! the types and traits of the 0.2 bindings, both candidates from the same lines, and nothing is converted. Only what
//! differs is written out, in a `match` on [`Candidate`] beside what is common. The definitions in `wit/wasi-0.2.0-rc-…`
//! are what a test compares this against, function by function.
//!
//! Where 0.2 lacks what a candidate had, the guest gets the error code that says so; a trap only where there is no code.

mod cli;
mod clocks;
mod filesystem;
mod handler;
mod http;
mod interface;
mod io;
mod network;
mod random;
mod tcp;
mod udp;
pub(super) mod udp_october;

#[cfg(test)]
mod tests;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::WasiHttpView;

pub use handler::{Handler, ResponseSender};

/// One of the two release candidates, ordered by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Candidate {
    /// `0.2.0-rc-2023-10-18`, of Spin 2.0 and its SDKs.
    October,
    /// `0.2.0-rc-2023-11-10`, of Spin 2.1 and the toolchains around it.
    November,
}

impl Candidate {
    /// Both, oldest first.
    pub const ALL: [Candidate; 2] = [Candidate::October, Candidate::November];

    /// The version as it stands behind the `@` of an interface's name.
    pub fn version(self) -> &'static str {
        match self {
            Candidate::October => "0.2.0-rc-2023-10-18",
            Candidate::November => "0.2.0-rc-2023-11-10",
        }
    }

    /// The interface that a component exports to be given requests, with its version.
    pub fn incoming_handler(self) -> String {
        self.name("wasi:http/incoming-handler")
    }

    /// The full name of an interface given without its version: `wasi:io/poll` becomes `wasi:io/poll@0.2.0-rc-2023-10-18`.
    fn name(self, interface: &str) -> String {
        format!("{interface}@{}", self.version())
    }
}

/// Links every import of both candidates: the packages `io`, `clocks`, `random`, `filesystem`, `sockets`, `cli` and `http`.
///
/// What a guest may do is decided by the store's `WasiCtx` and `WasiHttpHooks`, exactly as for a guest of 0.2.
///
/// # Errors
///
/// One of the names is already defined in `linker`.
pub fn add_to_linker<T: WasiView + WasiHttpView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    for candidate in Candidate::ALL {
        io::link(linker, candidate)?;
        clocks::link(linker, candidate)?;
        random::link(linker, candidate)?;
        cli::link(linker, candidate)?;
        filesystem::link(linker, candidate)?;
        network::link(linker, candidate)?;
        tcp::link(linker, candidate)?;
        http::link(linker, candidate)?;
    }
    udp::link(linker)?;
    udp_october::link(linker)
}
