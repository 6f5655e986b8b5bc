//! PostgreSQL, started for one scenario on a free port, with a password and with TLS.

use std::fs::{self, File, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, getuid, kill_process};
use tempfile::TempDir;
use tokio_postgres::{Client, NoTls, SimpleQueryMessage};

use super::registry::free_port;
use super::tls::Authority;
use super::wait::until;

/// Who may come in, and may do everything.
pub const USER: &str = "ada";
pub const PASSWORD: &str = "pass word:1";
/// The name that the server's certificate is for.
const HOST: &str = "localhost";
/// Debian's `nobody`: the server refuses to run as root.
const NOBODY: u32 = 65534;
/// Where Debian keeps what isn't in the `PATH`, below a directory for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// A running server; it ends when dropped.
pub struct Postgres {
    directory: TempDir,
    port: u16,
    authority: Authority,
    child: Option<Child>,
}

impl Postgres {
    pub async fn start() -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let mut server = Self {
            directory,
            port: free_port(),
            authority: Authority::new(),
            child: None,
        };
        server.create();
        server.resume().await;
        server
    }

    /// Keys and values, without TLS.
    pub fn address(&self) -> String {
        self.address_with("sslmode=disable")
    }

    /// The same with TLS, for who trusts [`Postgres::authority`].
    pub fn tls_address(&self) -> String {
        self.address_with("sslmode=require")
    }

    fn address_with(&self, more: &str) -> String {
        let port = self.port;
        format!("host={HOST} port={port} user={USER} password='{PASSWORD}' dbname=postgres {more}")
    }

    /// The address as a URL, without TLS.
    pub fn url(&self) -> String {
        let password = PASSWORD.replace(' ', "%20").replace(':', "%3A");
        format!(
            "postgres://{USER}:{password}@{HOST}:{}/postgres?sslmode=disable",
            self.port
        )
    }

    /// What clients have to trust, as PEM.
    pub fn authority(&self) -> String {
        self.authority.certificate()
    }

    /// Runs statements, and answers with the rows of all of them, as text.
    pub async fn run(&self, statements: &str) -> Vec<Vec<Option<String>>> {
        let client = self.connect().await.expect("the server lets the tests in");
        let messages = client
            .simple_query(statements)
            .await
            .expect("statements that work");
        let rows = messages.into_iter().filter_map(|message| match message {
            SimpleQueryMessage::Row(row) => Some(
                (0..row.len())
                    .map(|index| row.get(index).map(str::to_owned))
                    .collect(),
            ),
            _ => None,
        });
        rows.collect()
    }

    /// Ends it, and every session; what is stored stays.
    pub fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // It may have ended by itself. This signal makes it end its children too.
            let _ = kill_process(Pid::from_child(&child), Signal::QUIT);
            let _ = child.wait();
        }
    }

    /// Starts it (again), on the same port.
    pub async fn resume(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.path("log"))
            .expect("a log file");
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.path("data")).stdin(Stdio::null());
        command.stdout(log.try_clone().expect("a log file")).stderr(log);
        self.child = Some(
            command
                .spawn()
                .expect("postgres is installed: tests/setup brings it"),
        );
        until("PostgreSQL to answer", async || {
            let connected = self.connect().await;
            connected.map(drop).map_err(|error| {
                format!(
                    "{error:?}; {}",
                    fs::read_to_string(self.path("log")).unwrap_or_default()
                )
            })
        })
        .await;
    }

    async fn connect(&self) -> Result<Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.address(), NoTls).await?;
        // It ends with the client; its errors are the client's too.
        tokio::spawn(async move { connection.await.ok() });
        Ok(client)
    }

    fn create(&self) {
        let own = |path: &Path| {
            if getuid().is_root() {
                chown(path, Some(NOBODY), Some(NOBODY)).expect("root may give files away");
            }
        };
        let write = |name: &str, content: &str| {
            let path = self.path(name);
            fs::write(&path, content).expect("a file");
            // The server refuses a key that others may read.
            fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("a file of one's own");
            own(&path);
            path
        };
        own(self.directory.path());
        let password = write("password", PASSWORD);
        let signed = self.authority.sign(HOST);
        let certificate = write("server.crt", &signed.certificate);
        let key = write("server.key", &signed.key.serialize_pem());

        let mut initdb = self.command("initdb");
        initdb
            .arg("-D")
            .arg(self.path("data"))
            .arg("--pwfile")
            .arg(password);
        initdb.args([
            "-U",
            USER,
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-sync",
        ]);
        let output = initdb
            .output()
            .expect("initdb is installed: tests/setup brings it");
        assert!(
            output.status.success(),
            "initdb: {}",
            String::from_utf8_lossy(&output.stderr)
        );

        let configuration = self.path("data/postgresql.conf");
        let mut configuration = File::options()
            .append(true)
            .open(configuration)
            .expect("what initdb wrote");
        write!(
            configuration,
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = ''\nfsync = off\n\
             max_connections = 200\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'\n",
            self.port,
            certificate.display(),
            key.display(),
        )
        .expect("a file");
    }

    /// One of the server's programs, not as root.
    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(program(name));
        command.current_dir(self.directory.path());
        if getuid().is_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// In the `PATH` by its name alone, or below Debian's directory for the newest version.
fn program(name: &str) -> PathBuf {
    let is_in_path = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|directory| directory.join(name).is_file()));
    if is_in_path {
        return name.into();
    }
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let numbered = versions.filter_map(|entry| {
        let version: u32 = entry.file_name().to_str()?.parse().ok()?;
        Some((version, entry.path().join("bin").join(name)))
    });
    numbered.max().map_or_else(|| name.into(), |(_, path)| path)
}
