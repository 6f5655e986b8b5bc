//! A real `tauon` or `lepton`, with directories of its own.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::app::App;
use super::layout::Layout;
use super::status::{self, AppStatus};
use super::wait::{PATIENCE, until};

/// How a daemon is to be started.
pub struct Builder {
    root: TempDir,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    /// Shared by all scenarios, so that each guest is compiled once.
    cache: PathBuf,
    program: &'static str,
    /// What it is told to serve; `lepton` finds its own default.
    source: Option<PathBuf>,
    /// Sockets that a service manager would have opened for it.
    activation: Vec<OwnedFd>,
}

impl Builder {
    pub fn arg(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// With an empty cache, for scenarios that look at what is fetched.
    pub fn own_cache(mut self) -> Self {
        self.cache = self.root.path().join("cache");
        self
    }

    /// With the cache of others, too.
    pub fn cache(mut self, directory: PathBuf) -> Self {
        self.cache = directory;
        self
    }

    /// `lepton` with a list of apps, instead of `tauon` with a directory.
    pub fn list(mut self, list: &Value) -> Self {
        self.program = env!("CARGO_BIN_EXE_lepton");
        self.source = None;
        fs::write(self.root.path().join("lepton.json"), list.to_string()).expect("a file");
        self
    }

    /// With sockets that listen already, two at most, as a service manager opens them.
    pub fn activated_by(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.activation.push(socket.into());
        self
    }

    /// The directory is named by nothing on the command line.
    pub fn without_directory(mut self) -> Self {
        self.source = None;
        self
    }

    pub fn root(&self) -> &Path {
        self.root.path()
    }

    /// A file in the watched directory, there before the daemon is.
    pub fn app(self, id: &str, app: &Value) -> Self {
        fs::write(self.watched().join(format!("{id}.json")), app.to_string()).expect("a file");
        self
    }

    /// A file below the daemon's home directory.
    pub fn home_file(self, path: &str, content: &str) -> Self {
        let path = self.root.path().join("home").join(path);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
        fs::write(path, content).expect("a file");
        self
    }

    pub fn watched(&self) -> PathBuf {
        self.root.path().join("watch-dir")
    }

    /// Starts it, and waits until it answers.
    pub async fn start(self) -> Daemon {
        let mut daemon = Daemon {
            settings: self,
            child: None,
        };
        daemon.start_again().await;
        daemon
    }
}

/// One app, served by a daemon of its own.
pub async fn served(app: &App) -> (Daemon, Layout, SocketAddr) {
    let layout = Layout::with(app);
    let daemon = Daemon::start().await;
    let address = daemon.serve("app", &layout.file("v1")).await;
    (daemon, layout, address)
}

/// A running daemon; it is killed when dropped.
pub struct Daemon {
    settings: Builder,
    child: Option<Child>,
}

impl Daemon {
    pub fn builder() -> Builder {
        let root = TempDir::new().expect("a temporary directory");
        for directory in ["watch-dir", "home", "state", "run"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        let cache = Path::new(env!("CARGO_TARGET_TMPDIR")).join("cache");
        Builder {
            source: Some(root.path().join("watch-dir")),
            program: env!("CARGO_BIN_EXE_tauon"),
            root,
            arguments: Vec::new(),
            environment: Vec::new(),
            activation: Vec::new(),
            cache,
        }
    }

    /// One that has nothing to do yet.
    pub async fn start() -> Self {
        Self::builder().start().await
    }

    pub fn root(&self) -> &Path {
        self.settings.root.path()
    }

    pub fn watched(&self) -> PathBuf {
        self.settings.watched()
    }

    pub fn socket(&self) -> PathBuf {
        self.root().join("run/admin.sock")
    }

    /// Where the app file `id` is.
    pub fn file(&self, id: &str) -> PathBuf {
        self.watched().join(format!("{id}.json"))
    }

    /// Writes an app file as careful programs do: under another name, then renamed into place.
    pub fn write_app(&self, id: &str, app: &Value) {
        let temporary = self.watched().join(format!(".{id}.json.new"));
        fs::write(&temporary, app.to_string()).expect("a file");
        fs::rename(temporary, self.file(id)).expect("a file");
    }

    /// Writes the list of a `lepton` anew; it is read at the next hang-up signal.
    pub fn write_list(&self, list: &Value) {
        fs::write(self.root().join("lepton.json"), list.to_string()).expect("a file");
    }

    pub fn cache(&self) -> &Path {
        &self.settings.cache
    }

    /// Writes an app file in place, whatever its text.
    pub fn write_text(&self, id: &str, text: &str) {
        fs::write(self.file(id), text).expect("a file");
    }

    pub fn remove_app(&self, id: &str) {
        fs::remove_file(self.file(id)).expect("a file");
    }

    /// Writes it, and waits until it serves; answers with its address.
    pub async fn serve(&self, id: &str, app: &Value) -> SocketAddr {
        self.write_app(id, app);
        self.address(id).await
    }

    /// The address of a running app, once it runs.
    pub async fn address(&self, id: &str) -> SocketAddr {
        self.wait_state(id, "running").await.address()
    }

    /// What it says of everything, now.
    pub async fn status(&self) -> Value {
        status::read(&self.socket()).await.expect("the daemon answers")
    }

    /// What it says of one app, now; `None` when it knows of none.
    pub async fn app(&self, id: &str) -> Option<AppStatus> {
        status::app(&self.status().await, id)
    }

    pub async fn wait_state(&self, id: &str, state: &str) -> AppStatus {
        self.wait_for(id, &format!("to be {state}"), |app| app.state() == state)
            .await
    }

    /// Waits for an app's error to say `text`.
    pub async fn wait_error(&self, id: &str, text: &str) -> AppStatus {
        self.wait_for(id, &format!("to say {text:?}"), |app| app.error().contains(text))
            .await
    }

    /// Waits until an app runs that artifact.
    pub async fn wait_digest(&self, id: &str, digest: &str) -> AppStatus {
        self.wait_for(id, &format!("to run {digest}"), |app| {
            app.state() == "running" && app.digest() == Some(digest)
        })
        .await
    }

    /// Waits until an app is what `wanted` says.
    pub async fn wait_for(&self, id: &str, what: &str, wanted: impl Fn(&AppStatus) -> bool) -> AppStatus {
        let what = format!("{id} {what}");
        let waited = until(&what, async || {
            let status = status::read(&self.socket()).await?;
            let app = status::app(&status, id).ok_or_else(|| format!("no such app in {status}"))?;
            if wanted(&app) {
                Ok(app)
            } else {
                Err(format!("{app:?}"))
            }
        });
        tokio::select! {
            app = waited => app,
            () = self.report_when_slow(id) => unreachable!("it never ends"),
        }
    }

    /// Waits until an app is no longer there.
    pub async fn wait_gone(&self, id: &str) {
        until(&format!("{id} to be gone"), async || match self.app(id).await {
            None => Ok(()),
            Some(app) => Err(format!("{app:?}")),
        })
        .await;
    }

    /// Everything it wrote to standard error.
    pub fn logs(&self) -> String {
        fs::read_to_string(self.root().join("log")).unwrap_or_default()
    }

    /// The lines of its log that contain `text`.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        self.logs()
            .lines()
            .filter(|line| line.contains(text))
            .map(String::from)
            .collect()
    }

    /// Waits for such a line.
    pub async fn wait_log(&self, text: &str) -> String {
        until(&format!("a line with {text:?} in the log"), async || {
            self.log_lines(text).into_iter().next().ok_or_else(|| self.logs())
        })
        .await
    }

    pub fn pid(&self) -> Pid {
        let id = self.child.as_ref().and_then(Child::id).expect("it runs");
        Pid::from_raw(id as i32).expect("no process has the id 0")
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("it runs");
    }

    /// What the kernel says of it, by the name of the file or directory below /proc.
    pub fn proc(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{name}", self.pid().as_raw_nonzero()))
    }

    /// Waits for it to end.
    pub async fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("it was started");
        let ended = timeout(PATIENCE, child.wait()).await;
        ended
            .unwrap_or_else(|_| panic!("it does not end\n{}", self.logs()))
            .expect("its exit status")
    }

    /// Ends it as an operator would.
    pub async fn stop(&mut self) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait().await
    }

    /// Ends it as a power cut would.
    pub async fn crash(&mut self) {
        self.signal(Signal::KILL);
        self.wait().await;
    }

    /// Starts it once more, with the same directories and arguments.
    pub async fn start_again(&mut self) {
        self.spawn();
        until("the daemon to answer", async || {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().expect("its exit status") {
                panic!("the daemon ended: {status}\n{}", self.logs());
            }
            status::read(&self.socket()).await.map(drop)
        })
        .await;
    }

    /// Runs one of its subcommands (`status`, `redeploy`, …); answers with its output.
    pub async fn command(&self, arguments: &[&str]) -> std::process::Output {
        self.asking(arguments).output().await.expect("it can be run")
    }

    /// The same, to be run by the scenario; ends with it.
    pub fn asking(&self, arguments: &[&str]) -> Command {
        let mut command = self.program(env!("CARGO_BIN_EXE_tauon"));
        command
            .args(arguments)
            .arg("--socket")
            .arg(self.socket())
            .stdin(Stdio::null());
        command
    }

    /// What a second daemon on the same directory says before it ends.
    pub async fn second_on_the_same_directory(&self) -> std::process::Output {
        let mut command = self.program(env!("CARGO_BIN_EXE_tauon"));
        command
            .arg(self.watched())
            .arg("--data-dir")
            .arg(self.root().join("second-data"));
        command
            .arg("--socket")
            .arg(self.root().join("run/second.sock"))
            .stdin(Stdio::null());
        timeout(PATIENCE, command.output())
            .await
            .expect("it ends by itself")
            .expect("it can be run")
    }

    fn spawn(&mut self) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(self.root().join("log"))
            .expect("a log file");
        let mut command = match self.settings.activation.as_slice() {
            [] => self.program(self.settings.program),
            sockets => self.activated(sockets),
        };
        command
            .args(&self.settings.source)
            .arg("--state-root")
            .arg(self.root().join("state"))
            .arg("--data-dir")
            .arg(self.root().join("data"))
            .arg("--cache-dir")
            .arg(&self.settings.cache)
            .arg("--socket")
            .arg(self.socket())
            .args(&self.settings.arguments)
            .stderr(log.try_clone().expect("a log file"));
        if self.settings.activation.is_empty() {
            command.stdin(Stdio::null()).stdout(log);
        }
        self.child = Some(command.spawn().expect("it can be run"));
    }

    /// The program with sockets as its descriptors from 3 on. A shell moves them there from where a process is given them,
    /// and becomes the program.
    fn activated(&self, sockets: &[OwnedFd]) -> Command {
        let moved = "exec \"$0\" \"$@\" 3<&0 4<&1 </dev/null >/dev/null";
        let script = format!(
            "LISTEN_PID=$$ LISTEN_FDS={} && export LISTEN_PID LISTEN_FDS && {moved}",
            sockets.len()
        );
        let mut command = self.program("/bin/sh");
        let copy = |socket: &OwnedFd| Stdio::from(socket.try_clone().expect("a descriptor"));
        command
            .args(["-c", &script, self.settings.program])
            .stdin(copy(&sockets[0]))
            .stdout(sockets.get(1).map_or_else(Stdio::null, copy));
        command
    }

    /// The program, in an environment that knows nothing of the user's.
    fn program(&self, path: &str) -> Command {
        let mut command = Command::new(path);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.root().join("home"))
            .envs(self.settings.environment.iter().cloned())
            .current_dir(self.root())
            .kill_on_drop(true);
        command
    }

    /// Shows the log of a wait that is about to fail.
    async fn report_when_slow(&self, id: &str) {
        tokio::time::sleep(PATIENCE.mul_f32(0.9)).await;
        eprintln!("still waiting for {id}; the daemon's log:\n{}", self.logs());
        std::future::pending().await
    }
}
