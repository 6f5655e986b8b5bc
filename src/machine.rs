//! What the machine has for the process, and what the process has of it, as the kernel tells.

use std::fs;
use std::path::Path;

use rustix::process::{Resource, getrlimit};

const GROUPS: &str = "/sys/fs/cgroup";
const DESCRIPTORS: &str = "/proc/self/fd";
const KIB: u64 = 1024;
/// The kernel's default for a process's mappings.
const DEFAULT_MAX_MAPPINGS: usize = 65_530;

/// Bytes of memory: the machine's, or less if the process's control group, or one that it is in, may have no more (version 2: containers
/// and services have one). `None` where the kernel does not tell.
pub(crate) fn memory() -> Option<u64> {
    let all = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let limit = group.and_then(|group| limit_of(Path::new(GROUPS), group));
    [bytes(&all, "MemTotal:"), limit].into_iter().flatten().min()
}

/// Bytes of memory that the process has now.
pub(crate) fn resident_memory() -> Option<u64> {
    bytes(&fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Descriptors that the process may have; `None` is any number.
pub(crate) fn max_descriptors() -> Option<u64> {
    getrlimit(Resource::Nofile).current
}

/// Descriptors that the process has now, at little cost; `None` before Linux 6.2.
pub(crate) fn counted_descriptors() -> Option<u64> {
    let count = fs::metadata(DESCRIPTORS).ok()?.len();
    (count > 0).then_some(count)
}

/// The same, also where the kernel has to list them.
pub(crate) fn open_descriptors() -> Option<u64> {
    counted_descriptors().or_else(|| {
        let listed = fs::read_dir(DESCRIPTORS).ok()?.count() as u64;
        // One of them is that of the directory itself.
        Some(listed.saturating_sub(1))
    })
}

/// Mappings that the process may have.
pub(crate) fn max_mappings() -> usize {
    let most = fs::read_to_string("/proc/sys/vm/max_map_count").ok();
    most.and_then(|most| most.trim().parse().ok())
        .unwrap_or(DEFAULT_MAX_MAPPINGS)
}

/// What a line of `/proc/meminfo` or `/proc/self/status` says.
fn bytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * KIB)
}

/// The least of what the group below `root` and those that it is in may have.
fn limit_of(root: &Path, group: &str) -> Option<u64> {
    let group = root.join(group);
    let groups = group.ancestors().take_while(|above| above.starts_with(root));
    // One without a limit says "max".
    let limit = |group: &Path| {
        fs::read_to_string(group.join("memory.max"))
            .ok()?
            .trim()
            .parse()
            .ok()
    };
    groups.filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_tells_how_much_memory_it_has() {
        let total = |text| bytes(text, "MemTotal:");
        assert!(memory().unwrap() > KIB * KIB);
        assert_eq!(
            total("MemFree:  1 kB\nMemTotal:       24689060 kB\n"),
            Some(24_689_060 * KIB)
        );
        assert_eq!(total("MemFree:  1 kB\n"), None);
    }

    #[test]
    fn the_kernel_tells_of_memory_and_descriptors() {
        assert!(resident_memory().unwrap() > KIB * KIB);
        let (before, _open) = (
            open_descriptors().unwrap(),
            fs::File::open("/proc/self/status").unwrap(),
        );
        assert!(before > 2 && open_descriptors().unwrap() > 2);
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("system.slice/app.service");
        fs::create_dir_all(&service).unwrap();
        let limit = || limit_of(root.path(), "system.slice/app.service");
        assert_eq!(limit(), None);
        fs::write(service.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(), None);
        fs::write(root.path().join("system.slice/memory.max"), "1000\n").unwrap();
        fs::write(root.path().join("memory.max"), "2000\n").unwrap();
        assert_eq!(limit(), Some(1000));
        fs::write(service.join("memory.max"), "500\n").unwrap();
        assert_eq!(limit(), Some(500));
    }
}
