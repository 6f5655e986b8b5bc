//! `tauon login` and `tauon logout`.

use std::io::{self, BufRead as _, IsTerminal as _, Read as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::Args;

use super::artifacts::RegistryArgs;
use super::command::print;
use crate::tools::{self, registry_host};

/// Log in to a registry
///
/// The credentials are verified, and then kept where `docker login` keeps them: with the credential helper that Docker's config.json
/// names, or else in that file, readable by its owner only. Spin reads it too. Spin's own file is changed only where it has
/// credentials for the registry already, since it goes first. Running daemons use them from then on.
#[derive(Debug, Args)]
pub(super) struct LoginArgs {
    /// Its host, with a port if it has one of its own
    #[arg(value_name = "REGISTRY", value_parser = registry_host)]
    registry: String,
    /// Who you are [default: asked for]
    #[arg(long, short, value_name = "USER")]
    user: Option<String>,
    /// Read the password, or an access token, from standard input [default: asked for]
    #[arg(long, requires = "user")]
    password_stdin: bool,
    #[command(flatten)]
    registries: RegistryArgs,
}

/// Remove the credentials for a registry
///
/// From wherever `tauon login`, `docker login` and `spin registry login` keep them.
#[derive(Debug, Args)]
pub(super) struct LogoutArgs {
    /// Its host, with a port if it has one of its own
    #[arg(value_name = "REGISTRY", value_parser = registry_host)]
    registry: String,
}

impl LoginArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let user = match self.user {
            Some(user) => user,
            None => ask_user()?,
        };
        let password = match self.password_stdin {
            true => read_password()?,
            false => ask_password()?,
        };
        // They are joined by a colon on their way.
        if user.is_empty() || user.contains(':') {
            bail!("the user {user:?} can't be one: it is empty, or has a colon");
        }
        if password.is_empty() {
            bail!("the password is empty");
        }
        let host = &self.registry;
        let settings = self.registries.settings();
        let (places, asked) = tools::log_in(host, &user, &password, &settings).await?;
        let places = places.join(" and ");
        match asked {
            true => print(format_args!("logged in to {host} as {user}; kept in {places}")),
            false => print(format_args!(
                "{host} asks for no credentials, so that they could not be verified; kept in {places}"
            )),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl LogoutArgs {
    pub(super) async fn run(self) -> Result<ExitCode> {
        let host = &self.registry;
        match tools::log_out(host).await?.as_slice() {
            [] => print(format_args!("there were no credentials for {host}")),
            places => print(format_args!(
                "logged out of {host}; removed from {}",
                places.join(" and ")
            )),
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn ask_user() -> Result<String> {
    if !io::stdin().is_terminal() {
        bail!("there is no terminal to ask who you are: use --user and --password-stdin");
    }
    // Standard output may be a pipe.
    write!(io::stderr(), "User: ")?;
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

fn ask_password() -> Result<String> {
    rpassword::prompt_password("Password: ")
        .context("there is no terminal to ask for a password: use --password-stdin")
}

/// Without the line end that most programs print.
fn read_password() -> Result<String> {
    let mut text = String::new();
    io::stdin()
        .read_to_string(&mut text)
        .context("can't read the password from standard input")?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    Ok(line.strip_suffix('\r').unwrap_or(line).to_owned())
}
