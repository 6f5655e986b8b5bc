//! `tauon completions` and `tauon man`: from the same definitions as the command line itself.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::{Args, Command, CommandFactory as _, ValueEnum};
use clap_complete::Shell;
use clap_mangen::Man;

use super::args::{Lepton, Tauon};

/// Print the completions of a shell
///
/// For bash: `tauon completions bash > ~/.local/share/bash-completion/completions/tauon`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
    /// Whose
    #[arg(long, value_name = "PROGRAM", default_value = "tauon")]
    program: Program,
}

/// Write manual pages: one for each command, and lepton's
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// Where to; created if it is missing [default: tauon's own page is printed]
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Program {
    Tauon,
    Lepton,
}

impl Program {
    fn command(self) -> Command {
        match self {
            Self::Tauon => Tauon::command(),
            Self::Lepton => Lepton::command(),
        }
    }
}

impl CompletionsArgs {
    pub(super) fn run(self) -> ExitCode {
        let mut command = self.program.command();
        let name = command.get_name().to_owned();
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut command, name, &mut script);
        // A reader that has gone is no failure.
        let _ = io::stdout().write_all(&script);
        ExitCode::SUCCESS
    }
}

impl ManArgs {
    pub(super) fn run(self) -> Result<ExitCode> {
        let Some(directory) = self.directory else {
            let mut page = Vec::new();
            Man::new(Program::Tauon.command()).render(&mut page)?;
            // A reader that has gone is no failure.
            let _ = io::stdout().write_all(&page);
            return Ok(ExitCode::SUCCESS);
        };
        let unwritten = || format!("can't write into {}", directory.display());
        std::fs::create_dir_all(&directory).with_context(unwritten)?;
        for program in Program::value_variants() {
            clap_mangen::generate_to(program.command(), &directory).with_context(unwritten)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}
