//! What is measured side by side: the daemon, the limit, and other hosts where they are installed.

mod bare;
mod spin;
mod wasmtime;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::address;
use crate::app::App;
use crate::artifact::Hello;
use crate::client;
use crate::daemon::{self, Daemon};
use crate::stock::Stock;

pub use bare::{FLAG as BARE_FLAG, serve as serve_bare, start_in as start_bare_in};
pub use wasmtime::{NAME as WASMTIME_SERVE, program as wasmtime_program};

/// An earlier build of tauon, to be measured beside this one.
const BEFORE: &str = "TAUON_BEFORE";

pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    _process: Process,
}

enum Process {
    Daemon { _daemon: Daemon },
    Other { child: Child, _files: Option<TempDir> },
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Other { child, .. } = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Peer {
    /// Those that serve `hello`, this build of the daemon first; every peer has answered once.
    pub fn all(stock: &Stock, hello: Hello) -> Vec<Self> {
        let before = std::env::var_os(BEFORE).map(|program| Self::tauon("before", &[program], stock, hello));
        let tauon = Self::tauon("tauon", &daemon::program(), stock, hello);
        let peers = [
            Some(tauon),
            before,
            Some(bare::start()),
            wasmtime::start(hello),
            spin::start(hello),
        ];
        peers.into_iter().flatten().collect()
    }

    /// The daemon and the limit.
    pub fn tauon_and_bare(stock: &Stock, hello: Hello) -> [Self; 2] {
        let tauon = Self::tauon("tauon", &daemon::program(), stock, hello);
        [tauon, bare::start()]
    }

    fn tauon(name: &'static str, program: &[OsString], stock: &Stock, hello: Hello) -> Self {
        let daemon = stock.home().start_with(program, &[]);
        let app = App::new(&stock.hello(hello));
        daemon.home().write("hello", &app.json());
        client::wait_for_200(app.address);
        Self {
            name,
            address: app.address,
            _process: Process::Daemon { _daemon: daemon },
        }
    }

    /// `None` where the program is not installed.
    fn start(
        name: &'static str,
        files: Option<TempDir>,
        command: impl FnOnce(SocketAddr) -> Command,
    ) -> Option<Self> {
        let address = address::next();
        let child = command(address)
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let process = Process::Other { child, _files: files };
        client::wait_for_200(address);
        Some(Self {
            name,
            address,
            _process: process,
        })
    }
}
