//! Commands of `tauon` that need no daemon, each in an environment that knows nothing of the user's.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::time::timeout;

use super::wait::PATIENCE;

/// A working directory and a home for commands.
pub struct Tool {
    root: TempDir,
}

/// How a command ended, and what it printed.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The lines of its output that contain `text`.
    pub fn lines(&self, text: &str) -> Vec<&str> {
        self.stdout.lines().filter(|line| line.contains(text)).collect()
    }
}

impl Default for Tool {
    fn default() -> Self {
        Self::new()
    }
}

impl Tool {
    pub fn new() -> Self {
        let root = TempDir::new().expect("a temporary directory");
        for directory in ["home", "bin", "work"] {
            fs::create_dir(root.path().join(directory)).expect("a directory");
        }
        Self { root }
    }

    /// Where commands are run.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("work").join(name)
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.root.path().join("home").join(name)
    }

    pub fn cache(&self) -> PathBuf {
        self.home(".cache/lepton")
    }

    /// A file below the working directory.
    pub fn write(&self, name: &str, content: &str) -> PathBuf {
        write(self.path(name), content)
    }

    /// A file below the home directory.
    pub fn write_home(&self, name: &str, content: &str) -> PathBuf {
        write(self.home(name), content)
    }

    /// A program in the commands' search path.
    pub fn program(&self, name: &str, script: &str) {
        let path = write(
            self.root.path().join("bin").join(name),
            &format!("#!/bin/sh\n{script}\n"),
        );
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("a program");
    }

    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with("", arguments).await
    }

    /// With something on its standard input.
    pub async fn run_with(&self, input: &str, arguments: &[&str]) -> Ran {
        self.any(Path::new(env!("CARGO_BIN_EXE_tauon")), input, arguments)
            .await
    }

    /// Any program in the same environment.
    pub async fn any(&self, program: &Path, input: &str, arguments: &[&str]) -> Ran {
        let mut path = OsString::from(self.root.path().join("bin"));
        path.push(":");
        path.push(std::env::var_os("PATH").unwrap_or_default());
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.root.path().join("home"))
            .current_dir(self.root.path().join("work"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it can be run");
        let mut stdin = child.stdin.take().expect("a pipe");
        // It may end without reading.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        let output = timeout(PATIENCE, child.wait_with_output())
            .await
            .expect("it ends by itself")
            .expect("its output");
        Ran {
            code: output.status.code().expect("it ended by itself"),
            stdout: String::from_utf8(output.stdout).expect("text"),
            stderr: String::from_utf8(output.stderr).expect("text"),
        }
    }
}

fn write(path: PathBuf, content: &str) -> PathBuf {
    fs::create_dir_all(path.parent().expect("it is in a directory")).expect("a directory");
    fs::write(&path, content).expect("a file");
    path
}
