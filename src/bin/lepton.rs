//! Runs the fixed list of Spin apps in `lepton.json`.

use std::process::ExitCode;

use lepton::cli::{self, Lepton};
use lepton::{daemon, telemetry};
use mimalloc::MiMalloc;

/// What thousands of apps free after their start goes back to the system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    let settings = cli::parse::<Lepton>().settings();
    telemetry::init(&settings.log);
    daemon::main(settings)
}
