//! `wasi:cli`, all of its imports.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi::cli::{WasiCli, WasiCliView};
use wasmtime_wasi::p2::bindings::cli::environment::Host as _;
use wasmtime_wasi::p2::bindings::cli::exit::Host as _;
use wasmtime_wasi::p2::bindings::cli::stderr::Host as _;
use wasmtime_wasi::p2::bindings::cli::stdin::Host as _;
use wasmtime_wasi::p2::bindings::cli::stdout::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_input::HostTerminalInput;
use wasmtime_wasi::p2::bindings::cli::terminal_output::HostTerminalOutput;
use wasmtime_wasi::p2::bindings::cli::terminal_stderr::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdin::Host as _;
use wasmtime_wasi::p2::bindings::cli::terminal_stdout::Host as _;

use super::Candidate;
use super::interface::Interface;

type Cli<'linker, T> = Interface<'linker, T, WasiCli>;

pub(super) fn link<T: WasiView + 'static>(
    linker: &mut Linker<T>,
    candidate: Candidate,
) -> wasmtime::Result<()> {
    let mut environment = Cli::new(linker, candidate, "wasi:cli/environment", T::cli)?;
    environment.value("get-environment", |cli, ()| cli.get_environment())?;
    environment.value("get-arguments", |cli, ()| cli.get_arguments())?;
    environment.value("initial-cwd", |cli, ()| cli.initial_cwd())?;

    let mut exit = Cli::new(linker, candidate, "wasi:cli/exit", T::cli)?;
    exit.action("exit", |cli, (status,)| cli.exit(status))?;

    let mut stdin = Cli::new(linker, candidate, "wasi:cli/stdin", T::cli)?;
    stdin.value("get-stdin", |cli, ()| cli.get_stdin())?;
    let mut stdout = Cli::new(linker, candidate, "wasi:cli/stdout", T::cli)?;
    stdout.value("get-stdout", |cli, ()| cli.get_stdout())?;
    let mut stderr = Cli::new(linker, candidate, "wasi:cli/stderr", T::cli)?;
    stderr.value("get-stderr", |cli, ()| cli.get_stderr())?;

    let mut input = Cli::new(linker, candidate, "wasi:cli/terminal-input", T::cli)?;
    input.resource("terminal-input", |cli, this| HostTerminalInput::drop(cli, this))?;
    let mut output = Cli::new(linker, candidate, "wasi:cli/terminal-output", T::cli)?;
    output.resource("terminal-output", |cli, this| HostTerminalOutput::drop(cli, this))?;
    let mut stdin = Cli::new(linker, candidate, "wasi:cli/terminal-stdin", T::cli)?;
    stdin.value("get-terminal-stdin", |cli, ()| cli.get_terminal_stdin())?;
    let mut stdout = Cli::new(linker, candidate, "wasi:cli/terminal-stdout", T::cli)?;
    stdout.value("get-terminal-stdout", |cli, ()| cli.get_terminal_stdout())?;
    let mut stderr = Cli::new(linker, candidate, "wasi:cli/terminal-stderr", T::cli)?;
    stderr.value("get-terminal-stderr", |cli, ()| cli.get_terminal_stderr())
}
