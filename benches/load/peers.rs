//! What is measured: the daemon, the limit, and another host where it is installed.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use crate::daemon::{Daemon, HELLO_LAYOUT, free_address};
use crate::generator;

/// Makes this program the bare server, on the address in [`BARE_ADDRESS`].
pub const BARE_FLAG: &str = "--bare-server";
const BARE_ADDRESS: &str = "LEPTON_BENCH_ADDRESS";
/// The hello component inside the layout.
const HELLO_COMPONENT: &str = "blobs/sha256/d1a7e37d20cb38646beeaf332739f53b48498b30a74a0e2e8848b77d8891f14c";

pub struct Peer {
    pub name: &'static str,
    pub address: SocketAddr,
    _process: Process,
}

enum Process {
    Daemon { _daemon: Daemon },
    Other(Child),
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Self::Other(child) = self {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Peer {
    /// The daemon first; every peer has answered once.
    pub fn all() -> Vec<Self> {
        let peers = [Some(tauon()), Some(bare()), wasmtime_serve()];
        peers.into_iter().flatten().collect()
    }
}

fn tauon() -> Peer {
    let daemon = Daemon::start();
    let app = daemon.app();
    daemon.write("hello", &app.json);
    generator::wait_for_200(app.address);
    Peer {
        name: "tauon",
        address: app.address,
        _process: Process::Daemon { _daemon: daemon },
    }
}

/// A hyper server that answers the same five bytes: the limit of what a host on hyper can reach.
fn bare() -> Peer {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command.arg(BARE_FLAG);
    start("hyper", |address| {
        command.env(BARE_ADDRESS, address.to_string());
        command
    })
    .expect("this program starts")
}

fn wasmtime_serve() -> Option<Peer> {
    let program = std::env::var("WASMTIME").unwrap_or_else(|_| "wasmtime".into());
    let peer = start("wasmtime_serve", |address| {
        let mut command = Command::new(&program);
        command
            .args(["serve", "-Scommon", "-Opooling-allocator=y", "--addr"])
            .arg(address.to_string());
        command.arg(format!("{HELLO_LAYOUT}/{HELLO_COMPONENT}"));
        command
    });
    if peer.is_none() {
        eprintln!("wasmtime is not installed: not measured");
    }
    peer
}

fn start(name: &'static str, command: impl FnOnce(SocketAddr) -> Command) -> Option<Peer> {
    let address = free_address();
    let child = command(address)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let process = Process::Other(child);
    generator::wait_for_200(address);
    Some(Peer {
        name,
        address,
        _process: process,
    })
}

/// Serves for ever.
pub fn serve_bare() {
    let address = std::env::var(BARE_ADDRESS).expect("set by the harness");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .expect("a free address");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket of this machine");
            let hello = service_fn(|_| async {
                Ok::<_, Infallible>(http::Response::new(Full::new(Bytes::from_static(b"hello"))))
            });
            tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), hello));
        }
    });
}
