//! Landlock: where may be written, what may be run.

use std::path::PathBuf;

use landlock::{
    ABI, AccessFs, BitFlags, CompatLevel, Compatible as _, Ruleset, RulesetAttr as _,
    RulesetCreatedAttr as _, RulesetError, make_bitflags, path_beneath_rules,
};

use super::Rules;

/// Without its right to move files between directories, nothing could be renamed into its place.
const NEEDED: ABI = ABI::V2;
/// What later kernels can restrict besides.
const WANTED: ABI = ABI::V3;
/// What is opened for writing, and is nobody's data.
const DEVICES: [&str; 2] = ["/dev/null", "/dev/zero"];

pub(super) fn restrict(rules: &Rules) -> Result<(), RulesetError> {
    let write = AccessFs::from_write(WANTED);
    let log = make_bitflags!(AccessFs::{MakeReg | WriteFile});
    let socket = make_bitflags!(AccessFs::{MakeSock | RemoveFile});
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .handle_access(AccessFs::from_write(NEEDED) | AccessFs::Execute)?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(write)?
        .create()?
        .add_rules(path_beneath_rules(&rules.writable, write))?
        .add_rules(path_beneath_rules(&rules.logs, log))?
        .add_rules(path_beneath_rules(&rules.sockets, socket))?
        .add_rules(path_beneath_rules(DEVICES, BitFlags::from(AccessFs::WriteFile)))?
        .add_rules(path_beneath_rules(&rules.programs, AccessFs::Execute))?
        .add_rules(path_beneath_rules(loader(), AccessFs::Execute))?
        .restrict_self()?;
    Ok(())
}

/// The program that the kernel starts in front of a dynamically linked one: as this process had one, so will the next.
/// None for a static one.
fn loader() -> Option<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let paths = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])));
    let is_loader = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with("ld-"))
    };
    paths.into_iter().find(is_loader)
}
