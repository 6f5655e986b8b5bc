//! A Redis server, started for one scenario on a free port.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::registry::free_port;
use super::tls::Authority;
use super::wait::until;

/// A running Redis; it ends when dropped.
pub struct Redis {
    directory: TempDir,
    port: u16,
    tls: bool,
    child: Option<Child>,
}

impl Redis {
    /// Anybody may come in.
    pub async fn plain() -> Self {
        Self::start_with(false).await
    }

    /// TLS alone, with a certificate of the authority in [`Redis::authority`].
    pub async fn with_tls() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(tls: bool) -> Self {
        let mut redis = Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            tls,
            child: None,
        };
        if tls {
            let authority = Authority::new();
            let signed = authority.sign("127.0.0.1");
            fs::write(redis.authority(), authority.certificate()).expect("a file");
            fs::write(redis.path("server.crt"), signed.certificate).expect("a file");
            fs::write(redis.path("server.key"), signed.key.serialize_pem()).expect("a file");
        }
        redis.start().await;
        redis
    }

    /// `redis://127.0.0.1:PORT`, or `rediss://…`.
    pub fn address(&self) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        format!("{scheme}://127.0.0.1:{}", self.port)
    }

    /// What clients have to trust, in a file.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// Runs a command by the server's own client and gives back what it prints, without the last line's end.
    pub async fn command(&self, arguments: &[&str]) -> String {
        let output = self.client(arguments).await;
        assert!(output.status.success(), "redis-cli {arguments:?}: {output:?}");
        let text = String::from_utf8(output.stdout).expect("text");
        text.trim_end_matches('\n').into()
    }

    /// Ends it; what was written stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it (again), on the same port.
    pub async fn start(&mut self) {
        let log = |name| File::create(self.path(name)).expect("a log file");
        let port = self.port.to_string();
        let mut server = Command::new("redis-server");
        server.args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"]);
        server
            .args(["--appendfsync", "always", "--dir"])
            .arg(self.directory.path());
        if self.tls {
            server.args(["--port", "0", "--tls-auth-clients", "no", "--tls-port", &port]);
            server.arg("--tls-cert-file").arg(self.path("server.crt"));
            server.arg("--tls-key-file").arg(self.path("server.key"));
            server.arg("--tls-ca-cert-file").arg(self.authority());
        } else {
            server.args(["--port", &port]);
        }
        let child = server
            .stdin(Stdio::null())
            .stdout(log("output.log"))
            .stderr(log("errors.log"))
            .spawn()
            .expect("redis-server is installed: tests/setup brings it");
        self.child = Some(child);
        until("redis to answer", async || {
            let output = self.client(&["PING"]).await;
            match output.stdout.starts_with(b"PONG") {
                true => Ok(()),
                false => Err(fs::read_to_string(self.path("output.log")).unwrap_or_default()),
            }
        })
        .await;
    }

    async fn client(&self, arguments: &[&str]) -> Output {
        let mut client = tokio::process::Command::new("redis-cli");
        client.args(["-h", "127.0.0.1", "-p", &self.port.to_string()]);
        if self.tls {
            client.arg("--tls").arg("--cacert").arg(self.authority());
        }
        client
            .args(arguments)
            .output()
            .await
            .expect("redis-cli is installed: tests/setup brings it")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}
