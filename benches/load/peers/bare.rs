//! A hyper server that answers the same five bytes: the limit of what a host on hyper can reach.

use std::convert::Infallible;
use std::ffi::OsString;
use std::process::Command;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;

use super::Peer;

/// Makes this program the server, on the address in [`ADDRESS`].
pub const FLAG: &str = "--bare-server";
const ADDRESS: &str = "LEPTON_BENCH_ADDRESS";

pub fn start() -> Peer {
    start_in(&[])
}

/// Started by another program, which is given with its arguments.
pub fn start_in(starter: &[OsString]) -> Peer {
    let program = std::env::current_exe().expect("this program has a path");
    let mut words = starter.iter().cloned().chain([program.into(), FLAG.into()]);
    let mut command = Command::new(words.next().expect("at least the program"));
    command.args(words);
    Peer::start("hyper", None, |address| {
        command.env(ADDRESS, address.to_string());
        command
    })
    .expect("this program starts")
}

/// Serves for ever.
pub fn serve() {
    let address = std::env::var(ADDRESS).expect("set by the harness");
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
