//! Debian's docker-registry on the loopback interface, and skopeo, which copies from and to it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;
use tempfile::TempDir;

use crate::address;

const PATIENCE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(10);

pub struct Registry {
    directory: TempDir,
    address: std::net::SocketAddr,
    child: Child,
}

impl Registry {
    /// `None` where it is not installed.
    pub fn start() -> Option<Self> {
        let directory = TempDir::new().expect("a temporary directory");
        let address = address::next();
        // JSON is YAML.
        let configuration = json!({
            "version": 0.1,
            "log": {"level": "error", "accesslog": {"disabled": true}},
            "storage": {"filesystem": {"rootdirectory": directory.path().join("storage")}},
            "http": {"addr": address.to_string()},
        });
        let file = directory.path().join("config.yml");
        std::fs::write(&file, configuration.to_string()).expect("a writable directory");
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(file)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let start = Instant::now();
        while std::net::TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "the registry listens");
            std::thread::sleep(POLL);
        }
        Some(Self {
            directory,
            address,
            child,
        })
    }

    /// A reference to what is called `name`, which is `REPOSITORY:TAG`.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    /// From a layout's reference.
    pub fn push(&self, layout: &str, name: &str) {
        let to = format!("docker://{}", self.reference(name));
        self.copy(&["--dest-tls-verify=false", layout, &to]);
    }

    /// Into a new layout.
    pub fn pull(&self, name: &str, layout: &Path) {
        let from = format!("docker://{}", self.reference(name));
        let to = format!("oci:{}:v1", layout.display());
        self.copy(&["--src-tls-verify=false", &from, &to]);
    }

    fn copy(&self, arguments: &[&str]) {
        let output = Command::new("skopeo")
            .args(["--insecure-policy", "--tmpdir"])
            .arg(self.directory.path())
            .args(["copy", "--quiet", "--preserve-digests"])
            .args(arguments)
            .output()
            .expect("skopeo is installed: tests/setup brings it");
        assert!(
            output.status.success(),
            "skopeo: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
