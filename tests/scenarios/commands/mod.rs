//! The commands that work on files and need no daemon, and the dry run that asks one.

mod cache;
mod check;
mod diff;
mod login;
mod schema;
