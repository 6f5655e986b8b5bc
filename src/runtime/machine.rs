//! What the machine has for the process.

use std::path::Path;

const GROUPS: &str = "/sys/fs/cgroup";
const KIB: u64 = 1024;

/// Bytes of memory: the machine's, or less if the process's control group, or one that it is in, may have no more (version 2: containers
/// and services have one). `None` where the kernel does not tell.
pub(super) fn memory() -> Option<u64> {
    let all = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/"));
    let limit = group.and_then(|group| limit_of(Path::new(GROUPS), group));
    [total(&all), limit].into_iter().flatten().min()
}

/// Of the text of `/proc/meminfo`.
fn total(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * KIB)
}

/// The least of what the group below `root` and those that it is in may have.
fn limit_of(root: &Path, group: &str) -> Option<u64> {
    let group = root.join(group);
    let groups = group.ancestors().take_while(|above| above.starts_with(root));
    // One without a limit says "max".
    let limit = |group: &Path| {
        std::fs::read_to_string(group.join("memory.max"))
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
        assert!(memory().unwrap() > KIB * KIB);
        assert_eq!(
            total("MemFree:  1 kB\nMemTotal:       24689060 kB\n"),
            Some(24_689_060 * KIB)
        );
        assert_eq!(total("MemFree:  1 kB\n"), None);
    }

    #[test]
    fn the_least_limit_on_the_way_up_counts() {
        let root = tempfile::tempdir().unwrap();
        let service = root.path().join("system.slice/app.service");
        std::fs::create_dir_all(&service).unwrap();
        let limit = || limit_of(root.path(), "system.slice/app.service");
        assert_eq!(limit(), None);
        std::fs::write(service.join("memory.max"), "max\n").unwrap();
        assert_eq!(limit(), None);
        std::fs::write(root.path().join("system.slice/memory.max"), "1000\n").unwrap();
        std::fs::write(root.path().join("memory.max"), "2000\n").unwrap();
        assert_eq!(limit(), Some(1000));
        std::fs::write(service.join("memory.max"), "500\n").unwrap();
        assert_eq!(limit(), Some(500));
    }
}
