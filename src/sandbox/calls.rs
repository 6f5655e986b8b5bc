//! seccomp: system calls that a server never makes, and that a guest which broke out would try first.
//!
//! A list of what is denied, not of what is allowed: what libraries call changes with each version, and a server that dies
//! of a new one is worse than what the kernel's other checks let through.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, Error, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition,
    SeccompFilter, SeccompRule, TargetArch,
};

/// Answered with EPERM.
const DENIED: &[libc::c_long] = &[
    // Other processes' memory and descriptors.
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_kcmp,
    libc::SYS_pidfd_getfd,
    // File systems, and other views of them.
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_by_handle_at,
    libc::SYS_quotactl,
    libc::SYS_quotactl_fd,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_fanotify_init,
    // Namespaces.
    libc::SYS_setns,
    libc::SYS_unshare,
    // The kernel itself, and large parts of it that nothing here uses.
    libc::SYS_kexec_load,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_syslog,
    libc::SYS_lookup_dcookie,
    libc::SYS_acct,
    // The machine.
    libc::SYS_reboot,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_vhangup,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_modify_ldt,
];

/// What makes a new process one in a namespace of its own.
const NAMESPACES: [libc::c_int; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWCGROUP,
];

/// The same calls by their second numbers, in kernels that have the x32 ABI.
#[cfg(target_arch = "x86_64")]
const X32: Option<libc::c_long> = Some(0x4000_0000);
#[cfg(not(target_arch = "x86_64"))]
const X32: Option<libc::c_long> = None;

pub(super) fn restrict() -> Result<(), Error> {
    let architecture = std::env::consts::ARCH.try_into()?;
    seccompiler::apply_filter_all_threads(&denied(architecture)?)?;
    seccompiler::apply_filter_all_threads(&absent(architecture)?)
}

fn denied(architecture: TargetArch) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<_, _> = DENIED.iter().map(|call| (*call, Vec::new())).collect();
    let namespaces = NAMESPACES.iter().map(|flag| {
        let flag = u64::from(flag.cast_unsigned());
        let has = SeccompCmpOp::MaskedEq(flag);
        SeccompRule::new(vec![SeccompCondition::new(
            0,
            SeccompCmpArgLen::Dword,
            has,
            flag,
        )?])
    });
    rules.insert(libc::SYS_clone, namespaces.collect::<Result<_, _>>()?);
    filter(rules, libc::EPERM, architecture)
}

/// The flags of `clone3` stand in memory, where a filter can't look. Where the call does not exist, C libraries take
/// `clone`.
fn absent(architecture: TargetArch) -> Result<BpfProgram, BackendError> {
    let rules = BTreeMap::from([(libc::SYS_clone3, Vec::new())]);
    filter(rules, libc::ENOSYS, architecture)
}

fn filter(
    mut rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    answer: libc::c_int,
    architecture: TargetArch,
) -> Result<BpfProgram, BackendError> {
    if let Some(x32) = X32 {
        let again: Vec<_> = rules
            .iter()
            .map(|(call, rule)| (call | x32, rule.clone()))
            .collect();
        rules.extend(again);
    }
    let answer = SeccompAction::Errno(answer.cast_unsigned());
    SeccompFilter::new(rules, SeccompAction::Allow, answer, architecture)?.try_into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filters_are_such_that_the_kernel_takes_them() {
        // Only this thread has them, for as long as the test runs.
        std::thread::spawn(|| {
            let architecture = std::env::consts::ARCH.try_into().unwrap();
            seccompiler::apply_filter(&denied(architecture).unwrap()).unwrap();
            seccompiler::apply_filter(&absent(architecture).unwrap()).unwrap();
            use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
            let own = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
            let refused = pidfd_getfd(own, 0, PidfdGetfdFlags::empty());
            assert_eq!(refused.unwrap_err(), rustix::io::Errno::PERM);
            let moved = std::thread::spawn(|| 1).join().unwrap();
            assert_eq!(moved, 1, "threads are made all the same");
            let ran = std::process::Command::new("true").status().unwrap();
            assert!(ran.success(), "and so are processes");
        })
        .join()
        .unwrap();
    }
}
