//! What the kernel may not tell a process in valgrind: where its loader has put things, which is not where valgrind has put them.
//! `rustix` asks for it, and reads valgrind's own list if it gets no answer.

use std::collections::BTreeMap;

use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
};

/// `PR_GET_AUXV` of `linux/prctl.h`.
const GET_AUXV: u64 = 0x4155_5856;

/// From now on, for all that this thread starts.
pub fn hide() {
    let option = SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, GET_AUXV);
    let rule = SeccompRule::new(vec![option.expect("an argument")]).expect("a condition");
    let filter = SeccompFilter::new(
        BTreeMap::from([(libc::SYS_prctl, vec![rule])]),
        SeccompAction::Allow,
        SeccompAction::Errno(libc::EINVAL as u32),
        std::env::consts::ARCH
            .try_into()
            .expect("a processor with seccomp"),
    );
    let program: BpfProgram = filter.expect("two actions").try_into().expect("a short program");
    seccompiler::apply_filter(&program).expect("a kernel with seccomp");
}
