//! Read-only views of the status, and the few commands an operator needs, on a Unix socket.
//!
//! | request | answer |
//! |---|---|
//! | `GET /status` | the [`Status`](crate::control::Status), as JSON |
//! | `GET /status/watch` | the same, a line each time it changes |
//! | `GET /health` | 200, or 503 once the daemon has been told to end |
//! | `POST /apps/{id}/redeploy` | 202, or 404 for an app that no file names |
//! | `POST /plan` | from [`Drafts`](crate::control::Drafts), what would be done if these were the app files: [`Rehearsed`](crate::control::Rehearsed) |

mod client;
mod server;
mod socket;

pub use client::{AdminClient, AdminError};
pub use server::{AdminServer, serve};
pub use socket::{SocketError, default_socket, own_directory};
