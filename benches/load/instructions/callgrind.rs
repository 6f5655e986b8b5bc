//! A server that valgrind executes, and what it has executed between two moments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Where one server's counts go.
pub struct Callgrind {
    directory: PathBuf,
}

impl Callgrind {
    pub fn new(directory: &Path) -> Self {
        std::fs::create_dir_all(directory).expect("a writable directory");
        Self {
            directory: directory.to_owned(),
        }
    }

    /// What a server's command begins with.
    pub fn command(&self) -> Vec<OsString> {
        let mut output = OsString::from("--callgrind-out-file=");
        output.push(self.directory.join("counts"));
        let fixed = ["valgrind", "--tool=callgrind", "--instr-atstart=no", "--quiet"];
        let fixed = fixed.into_iter().map(OsString::from);
        fixed.chain([output, self.pipes()]).collect()
    }

    /// What the server executes while `act` runs.
    pub fn profile(&self, act: impl FnOnce()) -> Profile {
        self.control(&["--instr=on"]);
        self.control(&["--zero"]);
        act();
        self.control(&["--dump"]);
        self.control(&["--instr=off"]);
        // The dumps are numbered.
        let dumps = std::fs::read_dir(&self.directory).expect("it is there");
        let dumps = dumps.map(|dump| dump.expect("it is there").path());
        let newest = dumps.filter(|dump| dump.is_file() && dump.extension().is_some());
        let newest = newest.max_by_key(|dump| number(dump)).expect("a dump");
        let output = Command::new("callgrind_annotate")
            .args(["--threshold=100", "--auto=no", "--show-percs=no"])
            .arg(newest)
            .output()
            .expect("it comes with valgrind");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Profile {
            text: String::from_utf8_lossy(&output.stdout).into_owned(),
        }
    }

    fn control(&self, options: &[&str]) {
        let status = Command::new("callgrind_control")
            .arg(self.pipes())
            .args(options)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .expect("it comes with valgrind");
        assert!(status.success(), "callgrind_control {options:?}");
    }

    /// The option that says where a server is told what to do.
    fn pipes(&self) -> OsString {
        let mut option = OsString::from("--vgdb-prefix=");
        option.push(self.directory.join("pipes"));
        option
    }
}

fn number(dump: &Path) -> u32 {
    let extension = dump.extension().unwrap_or_default();
    extension.to_string_lossy().parse().unwrap_or_default()
}

pub fn is_installed() -> bool {
    let version = Command::new("valgrind")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok()
}

/// As `callgrind_annotate` prints it.
pub struct Profile {
    text: String,
}

/// Instructions of a function, or of what was inlined into one from another file.
pub struct Function<'a> {
    pub instructions: u64,
    /// `???` where it is not known.
    pub file: &'a str,
    pub name: &'a str,
}

impl Profile {
    pub fn functions(&self) -> impl Iterator<Item = Function<'_>> {
        self.text.lines().filter_map(Function::parse)
    }
}

impl<'a> Function<'a> {
    /// `1,234  FILE:NAME [OBJECT]`
    fn parse(line: &'a str) -> Option<Self> {
        let (count, place) = line.trim_start().split_once("  ")?;
        let instructions = count.replace(',', "").parse().ok()?;
        let (file, name) = place.split_once(':')?;
        Some(Self {
            instructions,
            file,
            name,
        })
    }
}
