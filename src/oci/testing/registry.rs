//! A real registry (Debian's `docker-registry`) as a child process, and `skopeo` to push to it.

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;

/// How long the registry may take to listen on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(30);

/// What the registry demands and speaks.
#[derive(Default)]
pub(crate) struct Options {
    /// User and password, checked by htpasswd.
    pub(crate) login: Option<(&'static str, &'static str)>,
    pub(crate) tls: bool,
}

/// A running registry; it ends with this value.
pub(crate) struct Registry {
    dir: TempDir,
    child: Child,
    options: Options,
    pub(crate) port: u16,
}

impl Registry {
    pub(crate) fn start(options: Options) -> Registry {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().display();
        let mut config = format!(
            "version: 0.1\nlog: {{level: info}}\nstorage: {{filesystem: {{rootdirectory: {root}/data}}}}\n\
             http:\n  addr: 127.0.0.1:0\n"
        );
        if options.tls {
            write_certificates(dir.path());
            writeln!(
                config,
                "  tls: {{certificate: {root}/server.pem, key: {root}/server.key}}"
            )
            .unwrap();
        }
        if let Some((user, password)) = options.login {
            let line = Command::new("htpasswd")
                .args(["-nbB", user, password])
                .output()
                .unwrap()
                .stdout;
            std::fs::write(dir.path().join("htpasswd"), line).unwrap();
            writeln!(
                config,
                "auth: {{htpasswd: {{realm: test, path: {root}/htpasswd}}}}"
            )
            .unwrap();
        }
        let file = dir.path().join("config.yml");
        std::fs::write(&file, config).unwrap();
        let log = File::create(dir.path().join("log")).unwrap();
        let child = Command::new("docker-registry")
            .args(["serve", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut registry = Registry {
            dir,
            child,
            options,
            port: 0,
        };
        registry.port = registry.wait_for_port();
        registry
    }

    /// The registry tells the port that it was given.
    fn wait_for_port(&mut self) -> u16 {
        const WORDS: &str = "listening on 127.0.0.1:";
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let log = self.log();
            if let Some((_, rest)) = log.split_once(WORDS) {
                let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                return digits.parse().unwrap();
            }
            assert!(
                self.child.try_wait().unwrap().is_none(),
                "the registry ended: {log}"
            );
            assert!(Instant::now() < deadline, "the registry does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The PEM file of the authority that signed the registry's certificate.
    pub(crate) fn ca(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    /// Pushes a layout (`DIR:TAG`) as `name` (`REPOSITORY:TAG`).
    pub(crate) fn push(&self, layout: &str, name: &str) {
        let mut skopeo = Command::new("skopeo");
        skopeo.args(["--insecure-policy", "copy", "--quiet", "--dest-tls-verify=false"]);
        if let Some((user, password)) = self.options.login {
            skopeo.args(["--dest-creds", &format!("{user}:{password}")]);
        }
        skopeo.args([
            format!("oci:{layout}"),
            format!("docker://{}/{name}", self.host()),
        ]);
        let output = skopeo.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The `GET`s of manifests and blobs that were answered so far.
    pub(crate) fn downloads(&self) -> Vec<String> {
        let log = self.log();
        let requests = log
            .lines()
            .filter_map(|line| line.split('"').nth(1).filter(|_| line.contains("lepton/")));
        requests
            .filter(|request| request.starts_with("GET ") && !request.contains("/v2/ "))
            .map(str::to_owned)
            .collect()
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn write_certificates(dir: &Path) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    let server = server.signed_by(&key, &ca).unwrap();
    std::fs::write(dir.join("ca.pem"), ca.pem()).unwrap();
    std::fs::write(dir.join("server.pem"), server.pem()).unwrap();
    std::fs::write(dir.join("server.key"), key.serialize_pem()).unwrap();
}
