//! Runs the Spin app of every JSON file in a directory.

use std::process::ExitCode;

use lepton::cli::{self, Tauon, TauonAction};
use lepton::{daemon, telemetry};
use mimalloc::MiMalloc;

/// What thousands of apps free after their start goes back to the system.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    match cli::parse::<Tauon>().action() {
        TauonAction::Serve(settings) => {
            telemetry::init(&settings.log);
            daemon::main(*settings)
        }
        TauonAction::Command(command) => cli::command_main(command),
    }
}
