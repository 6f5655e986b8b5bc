//! A Mosquitto broker, started for one scenario on a free port.

use std::fmt::Write as _;
use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::process::ChildStdout;

use super::registry::free_port;
use super::tls::Authority;
use super::wait::until;

/// Who may come in where anybody is asked.
pub const USER: &str = "ada";
pub const PASSWORD: &str = "pass word:1";

/// A running broker; it ends when dropped.
pub struct Mosquitto {
    directory: TempDir,
    port: u16,
    tls: bool,
    child: Option<Child>,
}

/// A client that has subscribed; it ends when dropped.
pub struct Subscriber {
    lines: Lines<BufReader<ChildStdout>>,
    _child: tokio::process::Child,
}

impl Mosquitto {
    /// Anybody may come in.
    pub async fn plain() -> Self {
        Self::start_with(false, false).await
    }

    /// [`USER`] alone may come in.
    pub async fn with_password() -> Self {
        Self::start_with(false, true).await
    }

    /// TLS, with a certificate of the authority in [`Mosquitto::authority`].
    pub async fn with_tls() -> Self {
        Self::start_with(true, false).await
    }

    async fn start_with(tls: bool, password: bool) -> Self {
        let mut broker = Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            tls,
            child: None,
        };
        // Started by root, the broker becomes another user, who has to get to what is in it.
        fs::set_permissions(broker.directory.path(), Permissions::from_mode(0o755)).expect("our directory");
        broker.write_configuration(password);
        broker.start().await;
        broker
    }

    /// `mqtt://127.0.0.1:PORT?client_id=ID`, or `mqtts://…`.
    pub fn address(&self, client_id: &str) -> String {
        let scheme = if self.tls { "mqtts" } else { "mqtt" };
        format!("{scheme}://127.0.0.1:{}?client_id={client_id}", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// What clients have to trust, in a file.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// Subscribes to a filter, and waits until the broker has said that it did.
    pub async fn subscribe(&self, filter: &str) -> Subscriber {
        // It would keep back what it prints into a pipe.
        let mut client = tokio::process::Command::new("stdbuf");
        client.args(["-oL", "mosquitto_sub", "-d", "-q", "2", "-h", "127.0.0.1"]);
        client.args(["-p", &self.port.to_string()]);
        // A mark, since what the client says of itself is on the same stream.
        client.args(["-u", USER, "-P", PASSWORD, "-F", "=%q %r %t %x", "-t", filter]);
        if self.tls {
            client.arg("--cafile").arg(self.authority());
        }
        let mut child = client
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("mosquitto_sub is installed: tests/setup brings it");
        let stdout = child.stdout.take().expect("it was asked for");
        let mut lines = BufReader::new(stdout).lines();
        while let Some(line) = lines.next_line().await.expect("text") {
            if line.starts_with("Subscribed") {
                return Subscriber { lines, _child: child };
            }
        }
        panic!("mosquitto_sub ended before it had subscribed");
    }

    /// Ends it.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts it (again), on the same port.
    pub async fn start(&mut self) {
        let log = File::create(self.path("errors.log")).expect("a log file");
        let child = Command::new("mosquitto")
            .arg("-c")
            .arg(self.path("mosquitto.conf"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mosquitto is installed: tests/setup brings it");
        self.child = Some(child);
        until("mosquitto to listen", async || {
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

    fn write_configuration(&self, password: bool) {
        let mut configuration = format!("listener {} 127.0.0.1\n", self.port);
        if password {
            let file = self.path("passwords");
            let made = Command::new("mosquitto_passwd")
                .args(["-b", "-c"])
                .arg(&file)
                .args([USER, PASSWORD])
                .status();
            assert!(
                made.expect("mosquitto_passwd is installed: tests/setup brings it")
                    .success()
            );
            fs::set_permissions(&file, Permissions::from_mode(0o644)).expect("our file");
            let _ = writeln!(configuration, "password_file {}", file.display());
        } else {
            configuration += "allow_anonymous true\n";
        }
        if self.tls {
            let authority = Authority::new();
            let signed = authority.sign("127.0.0.1");
            self.write("ca.crt", &authority.certificate());
            self.write("server.crt", &signed.certificate);
            self.write("server.key", &signed.key.serialize_pem());
            let _ = writeln!(configuration, "certfile {}", self.path("server.crt").display());
            let _ = writeln!(configuration, "keyfile {}", self.path("server.key").display());
        }
        self.write("mosquitto.conf", &configuration);
    }

    /// The broker's user has to be able to read it.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a file");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).expect("our file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Subscriber {
    /// The next message: quality of service, whether it was retained (0 or 1), topic, payload in hexadecimal digits, a space
    /// between them.
    pub async fn next(&mut self) -> String {
        while let Some(line) = self.lines.next_line().await.expect("text") {
            if let Some(message) = line.strip_prefix('=') {
                return message.into();
            }
        }
        panic!("mosquitto_sub ended");
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        self.stop();
    }
}
