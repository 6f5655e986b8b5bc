//! Wagi: a program that is run for each request as a CGI program is (`docs/contract/http-trigger.md §6.3`).

mod cgi;
mod reply;

use std::sync::Arc;

use http::{Request, Response};
use wasmtime_wasi::p2::pipe::{MemoryInputPipe, MemoryOutputPipe};
use wasmtime_wasi_http::WasiBody;

pub(in crate::trigger::http) use cgi::PathMatches;

use super::buffered::collect;
use super::{GuestError, MAX_HELD, spawn};
use crate::trigger::command_guest::{CommandGuest, Ended};
use crate::trigger::guest::Guest;
use crate::trigger::http::exchange::ClientWatch;

/// A command that is run for every request.
pub(in crate::trigger::http) struct WagiInstances {
    command: Arc<CommandGuest>,
    argv: String,
}

impl WagiInstances {
    /// `argv` is the template of the program's arguments.
    pub(in crate::trigger::http) fn new(command: CommandGuest, argv: Option<String>) -> Self {
        Self {
            command: Arc::new(command),
            argv: argv.unwrap_or_else(|| cgi::DEFAULT_ARGV.to_owned()),
        }
    }

    pub(super) async fn try_instantiate(&self, guest: &Guest) -> wasmtime::Result<()> {
        self.command.try_instantiate(guest).await
    }

    /// A client that goes, or an app that is forced to stop, ends the guest.
    pub(super) async fn handle(
        &self,
        guest: &Arc<Guest>,
        request: Request<WasiBody>,
        depth: u8,
        client: ClientWatch,
    ) -> Result<Response<WasiBody>, GuestError> {
        let (parts, body) = request.into_parts();
        let body = collect(body).await?;
        let arguments = cgi::arguments(&self.argv, &parts);
        let mut environment = cgi::variables(&parts, body.len());
        // What the component is always given stays: two variables of one name would be one too many.
        for (name, _) in &guest.settings.environment {
            environment.remove(name);
        }
        let environment: Vec<(String, String)> = environment.into_iter().collect();

        let output = MemoryOutputPipe::new(MAX_HELD);
        let stdout = output.clone();
        let (command, running, span) = (self.command.clone(), guest.clone(), client.span());
        let run = async move {
            command
                .run(&running, depth, span, |wasi| {
                    wasi.args(&arguments)
                        .envs(&environment)
                        .stdin(MemoryInputPipe::new(body))
                        .stdout(stdout);
                })
                .await
        };
        match spawn(guest, client.gone(), run).await {
            Ok(Some(Ok(Ended::Well))) => {}
            Ok(Some(Ok(Ended::WithError))) => tracing::warn!(
                app = %guest.settings.app,
                component = %guest.settings.component,
                request_id = client.request_id().map(tracing::field::display),
                "the command returned an error; what it printed is the response all the same"
            ),
            Ok(Some(Ok(Ended::WithCode(code)))) => return Err(GuestError::ExitCode(code)),
            Ok(Some(Err(error))) => return Err(GuestError::of_engine(error)),
            Ok(None) | Err(_) => return Err(GuestError::InstanceEnded),
        }
        reply::parse(output.contents())
    }
}
