//! Arguments to settings, subcommands, exit codes, tables and progress bars.

mod admin;
mod args;
mod artifacts;
mod backup;
mod cache;
mod check;
mod command;
mod config_file;
mod diff;
mod files;
mod history;
mod init;
mod layers;
mod log;
mod login;
mod logs;
mod manual;
mod progress;
mod pull;
mod schema;
mod table;
mod tls;
mod trust;

pub use args::{Lepton, Tauon, TauonAction};
pub use command::command_main;
pub use layers::parse;
pub use progress::Bars;
