//! The commands: to a daemon that runs already, and those that need none.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;
use serde::Serialize;

use super::args::{ClientCommand, Command, DaemonArgs};
use super::table;
use crate::admin::{AdminClient, default_socket};
use crate::control::Status;

/// Apps that are tried out take turns on all threads but one.
const THREADS: usize = 2;

/// Runs one command to its end, and gives its exit code.
pub fn command_main(command: ClientCommand) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(run(command)) {
        Ok(code) => code,
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
async fn run(ClientCommand(command): ClientCommand) -> Result<ExitCode> {
    match command {
        Command::Status { daemon, json, watch } => {
            let client = client(&daemon);
            let print = |status: Status| show(&status, json, watch);
            if watch {
                client.watch(print).await?;
            } else {
                client.status().await.map(print)?;
            }
        }
        Command::Redeploy { app, daemon } => client(&daemon).redeploy(&app).await?,
        Command::Files(command) => return command.run().await,
        Command::History(args) => args.run(&client(args.daemon())).await?,
        Command::Rollback(args) => args.run(&client(&args.daemon())).await?,
        Command::Backup(args) => args.run(&client(args.daemon())).await?,
        Command::Logs(logs) => {
            let client = client(logs.daemon());
            logs.run(&client).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub(super) fn client(daemon: &DaemonArgs) -> AdminClient {
    let socket = daemon
        .socket
        .clone()
        .unwrap_or_else(|| default_socket(&daemon.directory));
    AdminClient::new(socket)
}

fn show(status: &Status, json: bool, one_line: bool) {
    match (json, one_line) {
        (true, true) => print(serde_json::to_string(status).unwrap_or_default()),
        (true, false) => print_json(status),
        (false, _) => print(table::render(status)),
    }
}

/// A line, or several.
pub(super) fn print(text: impl Display) {
    // A reader that has gone (`| head`) is no failure.
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// For programs, and legible. What is printed has only members that JSON can write.
pub(super) fn print_json(value: &impl Serialize) {
    print(serde_json::to_string_pretty(value).unwrap_or_default());
}
