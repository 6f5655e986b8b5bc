//! The commands to a daemon that runs already.

use std::io::Write;
use std::process::ExitCode;

use super::args::{ClientCommand, Command};
use super::table;
use crate::admin::{AdminClient, AdminError, default_socket};
use crate::control::Status;

/// Runs one command to its end, and gives its exit code.
pub fn command_main(command: ClientCommand) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(run(command)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error),
    }
}

/// Tells the error with all of its causes, on one line.
fn fail(error: impl Into<anyhow::Error>) -> ExitCode {
    // Standard error that is closed can't be told anything.
    let _ = writeln!(std::io::stderr(), "error: {:#}", error.into());
    ExitCode::FAILURE
}

/// What it prints goes to standard output.
async fn run(ClientCommand(command): ClientCommand) -> Result<(), AdminError> {
    match command {
        Command::Status { daemon, json, watch } => {
            let client = client(&daemon);
            let print = |status: Status| show(&status, json, watch);
            if watch {
                client.watch(print).await
            } else {
                client.status().await.map(print)
            }
        }
        Command::Redeploy { app, daemon } => client(&daemon).redeploy(&app).await,
    }
}

fn client(daemon: &super::args::DaemonArgs) -> AdminClient {
    let socket = daemon
        .socket
        .clone()
        .unwrap_or_else(|| default_socket(&daemon.directory));
    AdminClient::new(socket)
}

fn show(status: &Status, json: bool, one_line: bool) {
    let text = match (json, one_line) {
        (true, true) => serde_json::to_string(status).unwrap_or_default(),
        (true, false) => serde_json::to_string_pretty(status).unwrap_or_default(),
        (false, _) => table::render(status),
    };
    // A reader that has gone (`| head`) is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}
