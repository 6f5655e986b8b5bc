//! The commands that need no running daemon.

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use super::cache::CacheArgs;
use super::check::CheckArgs;
use super::diff::DiffArgs;
use super::init::InitArgs;
use super::login::{LoginArgs, LogoutArgs};
use super::manual::{CompletionsArgs, ManArgs};
use super::pull::PullArgs;
use super::schema::SchemaArgs;
use crate::tools;

#[derive(Debug, Subcommand)]
pub(super) enum FileCommand {
    Check(CheckArgs),
    Diff(DiffArgs),
    Init(InitArgs),
    Schema(SchemaArgs),
    Pull(PullArgs),
    Login(LoginArgs),
    Logout(LogoutArgs),
    Cache(CacheArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl FileCommand {
    pub(super) async fn run(self) -> Result<ExitCode> {
        tools::init();
        match self {
            Self::Check(args) => args.run().await,
            Self::Diff(args) => args.run().await,
            Self::Init(args) => args.run(),
            Self::Schema(args) => Ok(args.run()),
            Self::Pull(args) => args.run().await,
            Self::Login(args) => args.run().await,
            Self::Logout(args) => args.run().await,
            Self::Cache(args) => args.run().await,
            Self::Completions(args) => Ok(args.run()),
            Self::Man(args) => args.run(),
        }
    }
}
