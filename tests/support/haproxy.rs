//! HAProxy, started for one scenario on free ports.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::Stdio;

use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};

use super::registry::free_port;
use super::wait::until;

/// A running balancer; it ends when dropped.
pub struct HaProxy {
    directory: TempDir,
    child: Child,
    /// Where it listens: one address for each backend, in their order.
    pub doors: Vec<SocketAddr>,
}

impl HaProxy {
    /// One door for each server: `tcp` or `http`, and what stands behind `server NAME`.
    pub async fn start(servers: &[(&str, String)]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut configuration =
            "defaults\n timeout connect 60s\n timeout client 60s\n timeout server 60s\n".to_owned();
        let mut doors = Vec::new();
        for (number, (mode, server)) in servers.iter().enumerate() {
            let door = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()));
            let http = match *mode {
                "http" => {
                    " option forwardfor\n http-request set-header X-Forwarded-Proto https\n \
                           option httpchk GET /.well-known/spin/health\n"
                }
                _ => "",
            };
            configuration.push_str(&format!(
                "listen door{number}\n mode {mode}\n bind {door}\n{http} server server{number} {server}\n"
            ));
            doors.push(door);
        }
        let file = directory.path().join("haproxy.cfg");
        fs::write(&file, configuration).expect("a file");
        let log = fs::File::create(directory.path().join("log")).expect("a file");
        // It is in the PATH of administrators only.
        let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin";
        let child = Command::new("/usr/bin/env")
            .env("PATH", path)
            .args(["haproxy", "-db", "-f"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("haproxy is installed: tests/setup brings it");
        let mut haproxy = Self {
            directory,
            child,
            doors,
        };
        haproxy.wait().await;
        haproxy
    }

    async fn wait(&mut self) {
        let log = self.directory.path().join("log");
        for door in &self.doors {
            until("HAProxy to listen", async || {
                if let Ok(Some(status)) = self.child.try_wait() {
                    panic!(
                        "HAProxy ended: {status} {}",
                        fs::read_to_string(&log).unwrap_or_default()
                    );
                }
                TcpStream::connect(door)
                    .await
                    .map(drop)
                    .map_err(|error| error.to_string())
            })
            .await;
        }
    }
}
