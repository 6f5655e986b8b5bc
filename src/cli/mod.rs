//! Arguments to settings, subcommands, exit codes, tables and progress bars.

mod args;
mod command;
mod progress;
mod table;
mod tls;

pub use args::{Lepton, Tauon, TauonAction};
pub use command::command_main;
pub use progress::Bars;
