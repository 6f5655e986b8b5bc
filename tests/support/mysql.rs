//! A MariaDB server, started for one scenario on a free port.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use tempfile::TempDir;

use super::registry::free_port;
use super::tls::Authority;
use super::wait::until;

/// Who may come in.
pub const USER: &str = "ada";
pub const PASSWORD: &str = "pass word:1";
/// The password as it stands in an address.
const ENCODED_PASSWORD: &str = "pass%20word%3A1";
/// Empty at first.
pub const DATABASE: &str = "shop";
/// The server refuses to run as root, and becomes this user then.
const SERVER_USER: &str = "nobody";

/// A running MariaDB; it ends when dropped.
pub struct Mysql {
    directory: TempDir,
    port: u16,
    tls: bool,
    child: Option<Child>,
}

impl Mysql {
    /// With and without TLS nothing is asked but the password.
    pub async fn plain() -> Self {
        Self::start_with(false).await
    }

    /// TLS for those who want it, with a certificate of the authority in [`Mysql::authority`].
    pub async fn with_tls() -> Self {
        Self::start_with(true).await
    }

    async fn start_with(tls: bool) -> Self {
        let mut mysql = Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            tls,
            child: None,
        };
        // The server's user has to get to what is in it.
        fs::set_permissions(mysql.directory.path(), Permissions::from_mode(0o755)).expect("our directory");
        // Of its own: a server that starts deletes the temporary tables of all that share the directory.
        fs::create_dir(mysql.path("tmp")).expect("a directory");
        fs::set_permissions(mysql.path("tmp"), Permissions::from_mode(0o777)).expect("our directory");
        mysql.install().await;
        mysql.start().await;
        mysql
    }

    /// `mysql://USER:PASSWORD@127.0.0.1:PORT/DATABASE`.
    pub fn address(&self) -> String {
        format!(
            "mysql://{USER}:{ENCODED_PASSWORD}@127.0.0.1:{}/{DATABASE}",
            self.port
        )
    }

    /// What clients have to trust, in a file.
    pub fn authority(&self) -> PathBuf {
        self.path("ca.crt")
    }

    /// Runs statements by the server's own client and gives back the rows, a tab between columns.
    pub async fn run(&self, statements: &str) -> String {
        let output = self.client(statements).await;
        assert!(output.status.success(), "{statements}: {output:?}");
        String::from_utf8(output.stdout).expect("text")
    }

    /// Ends it at once; what was committed stays.
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
        let mut server = Command::new("mariadbd");
        server.arg("--no-defaults").arg("--bind-address=127.0.0.1");
        server.arg(format!("--port={}", self.port));
        server.env("TMPDIR", self.path("tmp"));
        server.arg(option("--datadir", self.path("data")));
        server.arg(option("--socket", self.path("data/socket")));
        server.arg(option("--pid-file", self.path("data/pid")));
        server.arg(option("--init-file", self.path("init.sql")));
        // A test's data may be lost with the machine.
        server.args(["--innodb-flush-log-at-trx-commit=0", "--skip-log-bin"]);
        if let Some(user) = user_option() {
            server.arg(user);
        }
        if self.tls {
            server.arg(option("--ssl-cert", self.path("server.crt")));
            server.arg(option("--ssl-key", self.path("server.key")));
        }
        let child = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("mariadbd is installed: tests/setup brings it");
        self.child = Some(child);
        until("mariadb to answer", async || {
            match self.client("SELECT 1").await.status.success() {
                true => Ok(()),
                false => Err(fs::read_to_string(self.path("errors.log")).unwrap_or_default()),
            }
        })
        .await;
    }

    async fn install(&self) {
        let mut install = tokio::process::Command::new("mariadb-install-db");
        install.args([
            "--no-defaults",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ]);
        install.env("TMPDIR", self.path("tmp"));
        install.arg(option("--datadir", self.path("data")));
        if let Some(user) = user_option() {
            install.arg(user);
        }
        let output = install.stdin(Stdio::null()).output().await;
        let output = output.expect("mariadb-install-db is installed: tests/setup brings it");
        assert!(output.status.success(), "mariadb-install-db: {output:?}");
        let init = format!(
            "CREATE DATABASE IF NOT EXISTS {DATABASE} CHARACTER SET utf8mb4;\n\
             CREATE USER IF NOT EXISTS '{USER}'@'%' IDENTIFIED BY '{PASSWORD}';\n\
             GRANT ALL ON *.* TO '{USER}'@'%';\n"
        );
        self.write("init.sql", &init);
        if self.tls {
            let authority = Authority::new();
            let signed = authority.sign("127.0.0.1");
            self.write("ca.crt", &authority.certificate());
            self.write("server.crt", &signed.certificate);
            self.write("server.key", &signed.key.serialize_pem());
        }
    }

    async fn client(&self, statements: &str) -> Output {
        tokio::process::Command::new("mariadb")
            .args([
                "--no-defaults",
                "--host=127.0.0.1",
                "--batch",
                "--skip-column-names",
            ])
            .arg(format!("--port={}", self.port))
            .arg(format!("--user={USER}"))
            .arg(format!("--password={PASSWORD}"))
            .arg(format!("--execute={statements}"))
            .arg(DATABASE)
            .output()
            .await
            .expect("mariadb is installed: tests/setup brings it")
    }

    /// The server's user has to be able to read it.
    fn write(&self, name: &str, content: &str) {
        fs::write(self.path(name), content).expect("a file");
        fs::set_permissions(self.path(name), Permissions::from_mode(0o644)).expect("our file");
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Mysql {
    fn drop(&mut self) {
        self.stop();
    }
}

fn option(name: &str, path: PathBuf) -> String {
    format!("{name}={}", path.display())
}

fn user_option() -> Option<String> {
    rustix::process::getuid()
        .is_root()
        .then(|| format!("--user={SERVER_USER}"))
}
