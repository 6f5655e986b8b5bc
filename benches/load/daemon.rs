//! The real `tauon`, in directories of its own.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

/// The image layout of a hello component of 7 KB, for `wasi:http` 0.2.
pub const HELLO_LAYOUT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/oci/hello-v1");

pub struct Daemon {
    process: Child,
    root: TempDir,
}

/// An app file's content, and the address that it names.
pub struct App {
    pub json: String,
    pub address: SocketAddr,
}

impl Daemon {
    pub fn start() -> Self {
        let root = TempDir::new().expect("a temporary directory");
        let path = |name: &str| root.path().join(name);
        std::fs::create_dir(path("apps")).expect("a new directory");
        let process = Command::new(program())
            .arg(path("apps"))
            .arg("--state-root")
            .arg(path("state"))
            .arg("--cache-dir")
            .arg(path("cache"))
            .arg("--data-dir")
            .arg(path("data"))
            .arg("--socket")
            .arg(path("socket"))
            .env("RUST_LOG", "error")
            .stdout(Stdio::null())
            .spawn()
            .expect("tauon starts");
        Self { process, root }
    }

    /// An app on a port that was free a moment ago.
    pub fn app(&self) -> App {
        let address = free_address();
        let json = format!(r#"{{"reference": "oci:{HELLO_LAYOUT}:v1", "address": "{address}"}}"#);
        App { json, address }
    }

    pub fn write(&self, name: &str, json: &str) {
        let staged = self.stage(json);
        self.rename_into_place(&staged, name);
    }

    /// Writes the file beside the directory.
    pub fn stage(&self, json: &str) -> PathBuf {
        let staged = self.root.path().join("staged.json");
        std::fs::write(&staged, json).expect("a writable directory");
        staged
    }

    pub fn rename_into_place(&self, staged: &Path, name: &str) {
        std::fs::rename(staged, self.file(name)).expect("one file system");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).expect("the file is there");
    }

    /// A directory for artifacts of the benchmark's own.
    pub fn directory(&self, name: &str) -> PathBuf {
        let directory = self.root.path().join(name);
        std::fs::create_dir_all(&directory).expect("a writable directory");
        directory
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        let directory = format!("/proc/{}/fd", self.process.id());
        std::fs::read_dir(directory).expect("it runs").count()
    }

    pub fn threads(&self) -> usize {
        let directory = format!("/proc/{}/task", self.process.id());
        std::fs::read_dir(directory).expect("it runs").count()
    }

    pub fn resident_kib(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id())).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .expect("Linux says so");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("apps").join(name).with_extension("json")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Of this build, unless TAUON names another.
fn program() -> OsString {
    std::env::var_os("TAUON").unwrap_or_else(|| env!("CARGO_BIN_EXE_tauon").into())
}

pub fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("a bound socket has an address")
}
