//! What the kernel says of a process, and to it.

use std::path::PathBuf;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

/// Resident memory, in KiB.
#[derive(Clone, Copy)]
pub struct Resident {
    pub all: u64,
    /// The process's own; the rest is pages of files, which the kernel can take back.
    pub anonymous: u64,
    pub of_files: u64,
}

impl Resident {
    pub fn of(process: &Child) -> Self {
        Self {
            all: status(process, "VmRSS:"),
            anonymous: status(process, "RssAnon:"),
            of_files: status(process, "RssFile:"),
        }
    }

    /// The most there has been.
    pub fn peak_of(process: &Child) -> u64 {
        status(process, "VmHWM:")
    }

    pub fn print(&self, name: &str) {
        println!("{name}.resident_kib: {}", self.all);
        println!("{name}.resident_anonymous_kib: {}", self.anonymous);
        println!("{name}.resident_of_files_kib: {}", self.of_files);
    }

    /// What each of `count` more things adds to `before`.
    pub fn print_each(&self, before: &Self, count: usize, name: &str) {
        let each = |after: u64, before: u64| (after as f64 - before as f64) / count as f64;
        println!("{name}.each_kib: {:.2}", each(self.all, before.all));
        println!(
            "{name}.each_anonymous_kib: {:.2}",
            each(self.anonymous, before.anonymous)
        );
        println!(
            "{name}.each_of_files_kib: {:.2}",
            each(self.of_files, before.of_files)
        );
    }
}

/// Open descriptors.
pub fn descriptors(process: &Child) -> usize {
    entries(process, "fd")
}

pub fn threads(process: &Child) -> usize {
    entries(process, "task")
}

/// Mapped areas of memory, of which the kernel allows a process `vm.max_map_count`.
pub fn mappings(process: &Child) -> usize {
    read(process, "maps").lines().count()
}

/// How many descriptors it may open before it has to raise the limit.
pub fn soft_limit_of_descriptors(process: &Child) -> u64 {
    let limits = read(process, "limits");
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"));
    let soft = line.and_then(|line| line.split_whitespace().next());
    soft.expect("Linux says so").parse().expect("a number")
}

/// Asks it to end, and waits until it has.
pub fn terminate(process: &mut Child) {
    kill_process(Pid::from_child(process), Signal::TERM).expect("it runs");
    process.wait().expect("a child");
}

fn status(process: &Child, name: &str) -> u64 {
    let status = read(process, "status");
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.expect("Linux says so").trim().trim_end_matches(" kB");
    kib.parse().expect("a number")
}

fn entries(process: &Child, name: &str) -> usize {
    std::fs::read_dir(path(process, name)).expect("it runs").count()
}

fn read(process: &Child, name: &str) -> String {
    std::fs::read_to_string(path(process, name)).expect("it runs")
}

fn path(process: &Child, name: &str) -> PathBuf {
    format!("/proc/{}/{name}", process.id()).into()
}
