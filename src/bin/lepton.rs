//! Runs the fixed list of Spin apps in `lepton.json`.

use std::process::ExitCode;

use clap::Parser;
use lepton::cli::Lepton;
use lepton::{daemon, telemetry};

fn main() -> ExitCode {
    let settings = Lepton::parse().settings();
    telemetry::init();
    daemon::main(settings)
}
