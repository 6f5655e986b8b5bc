//! Runs the fixed list of Spin apps in `lepton.json`.

use std::process::ExitCode;

use lepton::cli::{self, Lepton};
use lepton::{daemon, memory, telemetry};
use mimalloc::MiMalloc;

/// What thousands of apps free after their start goes back to the system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

unsafe extern "C" {
    /// Of the allocator: gives back what the calling thread has of free memory.
    safe fn mi_collect(force: bool);
}

fn main() -> ExitCode {
    memory::collect_by(|| mi_collect(true));
    let settings = cli::parse::<Lepton>().settings();
    telemetry::init(&settings.log);
    daemon::main(settings)
}
