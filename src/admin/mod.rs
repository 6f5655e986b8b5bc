//! Read-only views of the status, and the few commands an operator needs, on a Unix socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | the [`Status`](crate::control::Status), as JSON |
//! | `GET /status/watch` | the same, a line each time it changes |
//! | `GET /health` | 200, or 503 once the daemon has been told to end |
//! | `GET /apps/{id}/logs?lines=100&component=…&stream=stdout&follow=true` | what the app has printed, a [`LogLine`](crate::logs::LogLine) a line |
//! | `POST /apps/{id}/redeploy` | 202, or 404 for an app that no file names |
//! | `POST /plan` | from [`Drafts`](crate::control::Drafts), what would be done if these were the app files: [`Rehearsed`](crate::control::Rehearsed) |
//! | `GET /apps/{id}/history` | the [`History`](crate::control::History), as JSON |
//! | `POST /apps/{id}/rollback` | the [`PinnedVersion`](crate::control::PinnedVersion) once it serves; the body is empty or `{"version": …}` |
//! | `DELETE /apps/{id}/rollback` | 202: the app's file is what it is asked for again |
//! | `POST /apps/{id}/backup` | a tar of the app's databases |
//!
//! What is refused has a problem document (RFC 9457) with the reason.

mod backup;
mod client;
mod history;
mod logs;
mod refusal;
mod server;
mod socket;

pub use client::{AdminClient, AdminError};
pub use server::{AdminServer, serve};
pub use socket::{SocketError, default_socket, own_directory};
