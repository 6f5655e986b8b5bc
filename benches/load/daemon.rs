//! The real `tauon`, in directories of its own.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::client::Reply;
use crate::process;

/// How often the status is looked at while something is waited for: it is long when there are many apps.
const POLL: Duration = Duration::from_millis(100);
/// No more apps start after so long without any.
const SETTLED_AFTER: Duration = Duration::from_secs(20);
const PATIENCE: Duration = Duration::from_secs(1200);

/// The directories, while a daemon runs in them and while none does.
pub struct Home {
    root: TempDir,
    cache: PathBuf,
}

impl Home {
    /// With artifacts and compiled code in a directory that others may use too.
    pub fn new(cache: &Path) -> Self {
        let root = TempDir::new().expect("a temporary directory");
        std::fs::create_dir(root.path().join("apps")).expect("a new directory");
        Self {
            root,
            cache: cache.to_owned(),
        }
    }

    pub fn write(&self, name: &str, json: &str) {
        let staged = self.stage(name, json);
        self.rename_into_place(&staged, name);
    }

    /// Writes the file beside the directory.
    pub fn stage(&self, name: &str, json: &str) -> PathBuf {
        let staged = self.root.path().join(name);
        std::fs::write(&staged, json).expect("a writable directory");
        staged
    }

    pub fn rename_into_place(&self, staged: &Path, name: &str) {
        std::fs::rename(staged, self.file(name)).expect("one file system");
    }

    pub fn remove(&self, name: &str) {
        std::fs::remove_file(self.file(name)).expect("the file is there");
    }

    fn file(&self, name: &str) -> PathBuf {
        self.root.path().join("apps").join(name).with_extension("json")
    }

    fn socket(&self) -> PathBuf {
        self.root.path().join("socket")
    }

    pub fn start(self) -> Daemon {
        self.start_with(&program(), &[])
    }

    /// `program` may be more than tauon's path: what starts it, with all of its arguments but tauon's own.
    pub fn start_with(self, program: &[OsString], options: &[&str]) -> Daemon {
        let path = |name: &str| self.root.path().join(name);
        let started = Instant::now();
        let process = Command::new(&program[0])
            .args(&program[1..])
            .arg(path("apps"))
            .arg("--state-root")
            .arg(path("state"))
            .arg("--cache-dir")
            .arg(&self.cache)
            .arg("--data-dir")
            .arg(path("data"))
            .arg("--socket")
            .arg(self.socket())
            .args(options)
            .env("RUST_LOG", "error")
            // Whose errors tell where they come from spends its time on that.
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .spawn()
            .expect("tauon starts");
        Daemon {
            process,
            started,
            home: Some(self),
        }
    }
}

pub struct Daemon {
    pub process: Child,
    pub started: Instant,
    /// Until it is stopped.
    home: Option<Home>,
}

impl Daemon {
    pub fn home(&self) -> &Home {
        self.home.as_ref().expect("it runs")
    }

    /// Lets it end by itself.
    pub fn stop(mut self) -> Home {
        process::terminate(&mut self.process);
        self.home.take().expect("it ran")
    }

    /// What it says of its apps.
    pub fn status(&self) -> Value {
        self.get("/status")
    }

    /// Of one app: it costs next to nothing, however many there are.
    pub fn app(&self, name: &str) -> Value {
        self.get(&format!("/apps/{name}"))
    }

    fn get(&self, path: &str) -> Value {
        let mut socket = UnixStream::connect(self.home().socket()).expect("the admin socket");
        socket
            .write_all(format!("GET {path} HTTP/1.1\r\nhost: tauon\r\nconnection: close\r\n\r\n").as_bytes())
            .expect("an open socket");
        let mut answer = Vec::new();
        socket.read_to_end(&mut answer).expect("an answer");
        let reply = Reply::parse(&answer).expect("HTTP").expect("a whole answer");
        serde_json::from_slice(&reply.body).expect("JSON")
    }

    /// How many apps are in `state`.
    pub fn count(&self, state: &str) -> usize {
        let status = self.status();
        let apps = status["apps"].as_object().expect("apps");
        apps.values().filter(|app| app["state"] == state).count()
    }

    /// Returns when the status is as wanted.
    pub fn wait_until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let start = Instant::now();
        let wait = |is_so: &mut dyn FnMut() -> bool| {
            while !is_so() {
                assert!(start.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
                std::thread::sleep(POLL);
            }
        };
        // It opens its socket a moment after its start, and listens a moment later.
        wait(&mut || UnixStream::connect(self.home().socket()).is_ok());
        wait(&mut || is_so(self));
    }

    /// Waits until `count` apps run, or until no more start; how many do.
    pub fn settle(&self, count: usize) -> usize {
        let mut running = 0;
        let mut changed = Instant::now();
        self.wait_until("apps run", |daemon| {
            let now = daemon.count("running");
            if now != running {
                (running, changed) = (now, Instant::now());
            }
            running == count || changed.elapsed() > SETTLED_AFTER
        });
        if running < count {
            eprintln!("only {running} of {count} apps run");
        }
        running
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Of this build, unless TAUON names another.
pub fn program() -> [OsString; 1] {
    [std::env::var_os("TAUON").unwrap_or_else(|| env!("CARGO_BIN_EXE_tauon").into())]
}
