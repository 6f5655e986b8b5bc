//! Debian's docker-registry, started for one scenario on a free port; what is in it comes by skopeo.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::artifact::Artifact;
use super::layout::Layout;
use super::tls::Authority;
use super::tokens::{ISSUER, SERVICE, TokenService};
use super::wait::until;

/// Who may come in where anybody is asked.
pub const USER: &str = "ada";
pub const PASSWORD: &str = "pass word:1";

enum Door {
    Open,
    Password,
    Tokens(Box<TokenService>),
}

/// A running registry; it ends when dropped.
pub struct Registry {
    directory: TempDir,
    port: u16,
    door: Door,
    tls: bool,
    child: Option<Child>,
}

/// One line of the registry's access log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Access {
    pub method: String,
    pub path: String,
    pub status: u16,
}

impl Access {
    pub fn is_blob(&self) -> bool {
        self.method == "GET" && self.path.contains("/blobs/")
    }
}

impl Registry {
    /// Anybody may push and pull, over plain http.
    pub async fn plain() -> Self {
        Self::start_with(Door::Open, false).await
    }

    /// Basic authentication.
    pub async fn with_password() -> Self {
        Self::start_with(Door::Password, false).await
    }

    /// https, with a certificate of the authority in [`Registry::authority`].
    pub async fn with_tls() -> Self {
        Self::start_with(Door::Open, true).await
    }

    /// Bearer tokens; anybody may pull what is below `public/`.
    pub async fn with_tokens() -> Self {
        let tokens = TokenService::start(USER, PASSWORD).await;
        Self::start_with(Door::Tokens(Box::new(tokens)), false).await
    }

    async fn start_with(door: Door, tls: bool) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let port = free_port();
        let mut registry = Self {
            directory,
            port,
            door,
            tls,
            child: None,
        };
        registry.write_configuration();
        registry.start().await;
        registry
    }

    /// `HOST:PORT`.
    pub fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// As an app file names it.
    pub fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// What clients have to trust, in a file.
    pub fn authority(&self) -> PathBuf {
        self.path("authority/ca.crt")
    }

    pub fn tokens(&self) -> &TokenService {
        match &self.door {
            Door::Tokens(tokens) => tokens,
            Door::Open | Door::Password => panic!("this registry wants no tokens"),
        }
    }

    /// Copies `tag` of a layout to `name`, which is `REPOSITORY:TAG`. Digests stay what they are.
    pub async fn push(&self, layout: &Layout, tag: &str, name: &str) {
        // Not blocking: the token service runs in the same scenario.
        let mut skopeo = tokio::process::Command::new("skopeo");
        skopeo.args([
            "--insecure-policy",
            "copy",
            "--quiet",
            "--all",
            "--preserve-digests",
        ]);
        skopeo.args(["--dest-creds", &format!("{USER}:{PASSWORD}")]);
        if self.tls {
            skopeo.arg("--dest-cert-dir").arg(self.path("authority"));
        } else {
            skopeo.arg("--dest-tls-verify=false");
        }
        skopeo
            .arg(layout.reference(tag))
            .arg(format!("docker://{}", self.reference(name)));
        let output = skopeo
            .output()
            .await
            .expect("skopeo is installed: tests/setup brings it");
        assert!(
            output.status.success(),
            "skopeo: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The same for one artifact; answers with the reference to write into an app file.
    pub async fn push_artifact(&self, artifact: &Artifact, name: &str) -> String {
        let mut layout = Layout::new();
        layout.tag("v1", artifact);
        self.push(&layout, "v1", name).await;
        self.reference(name)
    }

    /// Every request so far.
    pub fn accesses(&self) -> Vec<Access> {
        let log = fs::read_to_string(self.path("access.log")).unwrap_or_default();
        log.lines().filter_map(parse_access).collect()
    }

    /// Ends it; what was pushed stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it (again), on the same port.
    pub async fn start(&mut self) {
        let log = |name| {
            File::options()
                .create(true)
                .append(true)
                .open(self.path(name))
                .expect("a log file")
        };
        let child = Command::new("docker-registry")
            .arg("serve")
            .arg(self.path("config.yml"))
            .stdout(log("access.log"))
            .stderr(log("errors.log"))
            .stdin(Stdio::null())
            .spawn()
            .expect("docker-registry is installed: tests/setup brings it");
        self.child = Some(child);
        until("the registry to listen", async || {
            let connected = TcpStream::connect(("127.0.0.1", self.port)).await;
            connected.map(drop).map_err(|error| {
                format!(
                    "{error}; {}",
                    fs::read_to_string(self.path("errors.log")).unwrap_or_default()
                )
            })
        })
        .await;
    }

    /// It accepts connections and answers nothing, until [`Registry::resume`].
    pub fn pause(&self) {
        self.signal(Signal::STOP);
    }

    pub fn resume(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().expect("it runs");
        kill_process(Pid::from_child(child), signal).expect("it runs");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// JSON is YAML.
    fn write_configuration(&self) {
        let mut configuration = json!({
            "version": 0.1,
            "log": {"level": "warn"},
            "storage": {"filesystem": {"rootdirectory": self.path("storage")}, "delete": {"enabled": true}},
            "http": {"addr": self.host()},
        });
        match &self.door {
            Door::Open => {}
            Door::Password => {
                let output = Command::new("htpasswd").args(["-Bbn", USER, PASSWORD]).output();
                let output = output.expect("htpasswd is installed: tests/setup brings it");
                fs::write(self.path("htpasswd"), output.stdout).expect("a file");
                configuration["auth"] =
                    json!({"htpasswd": {"realm": "tests", "path": self.path("htpasswd")}});
            }
            Door::Tokens(tokens) => {
                fs::write(self.path("tokens.crt"), tokens.authority.certificate()).expect("a file");
                configuration["auth"] = json!({"token": {
                    "realm": tokens.realm(), "service": SERVICE, "issuer": ISSUER,
                    "rootcertbundle": self.path("tokens.crt"),
                }});
            }
        }
        if self.tls {
            let authority = Authority::new();
            let signed = authority.sign("127.0.0.1");
            fs::create_dir(self.path("authority")).expect("a directory");
            fs::write(self.authority(), authority.certificate()).expect("a file");
            fs::write(self.path("server.crt"), signed.certificate).expect("a file");
            fs::write(self.path("server.key"), signed.key.serialize_pem()).expect("a file");
            configuration["http"]["tls"] =
                json!({"certificate": self.path("server.crt"), "key": self.path("server.key")});
        }
        fs::write(self.path("config.yml"), configuration.to_string()).expect("a file");
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// `… "GET /v2/ HTTP/1.1" 200 …`
fn parse_access(line: &str) -> Option<Access> {
    let mut parts = line.split('"').skip(1);
    let mut request = parts.next()?.split(' ');
    let status = parts.next()?.split_whitespace().next()?.parse().ok()?;
    Some(Access {
        method: request.next()?.into(),
        path: request.next()?.into(),
        status,
    })
}
