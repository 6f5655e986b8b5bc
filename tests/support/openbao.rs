//! OpenBao, which speaks Vault's protocol: a server that keeps its secrets in memory, started for one scenario on a free
//! port.

use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::guests::cache;
use super::registry::free_port;
use super::wait::until;

/// What opens everything.
pub const TOKEN: &str = "root";
/// Where a server for development has its key-value engine of version 2.
pub const MOUNT: &str = "secret";

/// A running OpenBao; it ends when dropped.
pub struct OpenBao {
    directory: TempDir,
    port: u16,
    child: Option<Child>,
}

impl OpenBao {
    pub async fn start() -> Self {
        let mut server = Self::stopped();
        server.start_again().await;
        server
    }

    /// One that is still to be started, on a port that is known already.
    pub fn stopped() -> Self {
        Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            child: None,
        }
    }

    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Keeps `value` at `path` below the mount, in the field that is read.
    pub async fn put(&self, path: &str, value: &str) {
        self.command(&[
            "kv",
            "put",
            &format!("-mount={MOUNT}"),
            path,
            &format!("value={value}"),
        ])
        .await;
    }

    /// Deletes the last version; that there was one stays known.
    pub async fn delete(&self, path: &str) {
        self.command(&["kv", "delete", &format!("-mount={MOUNT}"), path])
            .await;
    }

    /// Ends it, and what it kept with it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it, on the same port as ever.
    pub async fn start_again(&mut self) {
        let log = File::create(self.log()).expect("a log file");
        let child = Command::new(program())
            .args(["server", "-dev", "-dev-no-store-token"])
            .arg(format!("-dev-root-token-id={TOKEN}"))
            .arg(format!("-dev-listen-address=127.0.0.1:{}", self.port))
            .env("HOME", self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("bao is installed: tests/setup brings it");
        self.child = Some(child);
        until("OpenBao to answer", async || {
            // The mount is the last that it makes.
            let output = self.run(&["kv", "list", &format!("-mount={MOUNT}"), "/"]).await;
            let told = String::from_utf8_lossy(&output.stderr);
            match output.status.success() || told.contains("No value found") {
                true => Ok(()),
                false => Err(format!(
                    "{told}{}",
                    fs::read_to_string(self.log()).unwrap_or_default()
                )),
            }
        })
        .await;
    }

    async fn command(&self, arguments: &[&str]) {
        let output = self.run(arguments).await;
        assert!(output.status.success(), "bao {arguments:?}: {output:?}");
    }

    async fn run(&self, arguments: &[&str]) -> Output {
        tokio::process::Command::new(program())
            .args(arguments)
            .env("HOME", self.directory.path())
            .env("BAO_ADDR", self.url())
            .env("BAO_TOKEN", TOKEN)
            .output()
            .await
            .expect("bao is installed: tests/setup brings it")
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("server.log")
    }
}

impl Drop for OpenBao {
    fn drop(&mut self) {
        self.stop();
    }
}

fn program() -> PathBuf {
    cache().join("servers/bin/bao")
}
