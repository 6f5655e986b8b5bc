//! Pebble, the ACME server that Let's Encrypt is tested with, and the name server of its challenges: for one scenario, on
//! free ports.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::net::TcpStream;

use super::registry::free_port;
use super::tls::Authority;
use super::tls_client::TlsClient;
use super::wait::until;

/// Its own address, for which its certificate is.
const HOST: &str = "127.0.0.1";

/// A running authority; it ends when dropped.
pub struct Pebble {
    directory: TempDir,
    port: u16,
    management: u16,
    /// Signed its own certificate, not those that it issues.
    authority: Authority,
    children: Vec<Child>,
}

impl Pebble {
    /// It looks at challenges on these ports of this machine, whatever the name, and issues certificates that are good for
    /// so long.
    pub async fn start(tls_port: u16, http_port: u16, validity: Duration) -> Self {
        let mut pebble = Self {
            directory: TempDir::new().expect("a temporary directory"),
            port: free_port(),
            management: free_port(),
            authority: Authority::new(),
            children: Vec::new(),
        };
        let (names, names_management) = (free_port(), free_port());
        let certificate = pebble.authority.sign(HOST);
        certificate.write(pebble.directory.path(), "own");
        fs::write(pebble.authority_file(), pebble.authority.certificate()).expect("a file");
        let configuration = json!({"pebble": {
            "listenAddress": format!("{HOST}:{}", pebble.port),
            "managementListenAddress": format!("{HOST}:{}", pebble.management),
            "certificate": pebble.path("own.pem"),
            "privateKey": pebble.path("own.key"),
            "httpPort": http_port,
            "tlsPort": tls_port,
            "ocspResponderURL": "",
            "externalAccountBindingRequired": false,
            "certificateValidityPeriod": validity.as_secs(),
        }});
        fs::write(pebble.path("pebble.json"), configuration.to_string()).expect("a file");
        pebble.spawn(
            Command::new("pebble-challtestsrv")
                .args(["-defaultIPv4", HOST, "-defaultIPv6", ""])
                .args(["-dns01", &format!("{HOST}:{names}")])
                .args(["-management", &format!("{HOST}:{names_management}")])
                .args(["-http01", "", "-https01", "", "-tlsalpn01", ""]),
            "names.log",
        );
        let mut server = Command::new("pebble");
        server
            .arg("-config")
            .arg(pebble.path("pebble.json"))
            .args(["-dnsserver", &format!("{HOST}:{names}")])
            // By itself it sleeps before it looks, believes what it saw before, and refuses some requests without a reason.
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .env("PEBBLE_WFE_NONCEREJECT", "0");
        pebble.spawn(&mut server, "pebble.log");
        until("pebble to listen", async || {
            for port in [pebble.port, pebble.management] {
                let connected = TcpStream::connect((HOST, port)).await;
                connected.map_err(|error| format!("{error}; {}", pebble.log()))?;
            }
            Ok(())
        })
        .await;
        pebble
    }

    /// Where an order begins.
    pub fn directory(&self) -> String {
        format!("https://{HOST}:{}/dir", self.port)
    }

    /// What has to be trusted to ask it, in a file.
    pub fn authority_file(&self) -> PathBuf {
        self.path("authority.pem")
    }

    /// What has to be trusted to believe the certificates that it issues.
    pub async fn root(&self) -> String {
        let client = TlsClient::trusting(&self.authority.certificate());
        let address: SocketAddr = format!("{HOST}:{}", self.management).parse().expect("an address");
        let reply = client.get(address, HOST, "/roots/0").await.expect("its root");
        reply.text().to_owned()
    }

    /// How many orders it was given.
    pub fn orders(&self) -> usize {
        self.log().matches("POST /order-plz").count()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path("pebble.log")).unwrap_or_default()
    }

    fn spawn(&mut self, command: &mut Command, log: &str) {
        let log = File::create(self.path(log)).expect("a log file");
        let child = command
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log file"))
            .stderr(log)
            .spawn()
            .expect("pebble is installed: tests/setup brings it");
        self.children.push(child);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
