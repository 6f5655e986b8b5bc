//! Views of what the daemon does, and the few commands an operator needs: on a Unix socket, and at an address for whoever
//! has a token or a certificate.
//!
//! | file | responsibility |
//! |---|---|
//! | `server.rs` | what is served, and where |
//! | `socket.rs`, `address.rs` | the Unix socket of the daemon's user; the address that others may have |
//! | `door.rs` | connections: how many, how long, with TLS or without |
//! | `guard.rs` | who may ask at the address |
//! | `token.rs`, `session.rs`, `login.rs` | by a token; by a cookie that stands for one; how a browser gets it |
//! | `origin.rs` | which pages a browser may send commands from |
//! | `api.rs` | what routes answer from |
//! | `routes/` | a file for each group of routes, and the document that describes them all |
//! | `answer.rs` | what they answer, and how that is described |
//! | `input.rs` | what requests say beside their path |
//! | `recent.rs` | what came in the last minutes |
//! | `readiness.rs` | when all is up for the first time |
//! | `exposition/` | the numbers for Prometheus |
//! | `page/` | the page: what an operator sees with a browser |
//! | `client.rs` | the other end of the socket |

mod address;
mod answer;
mod api;
mod client;
mod door;
mod exposition;
mod guard;
mod input;
mod login;
mod origin;
mod page;
mod readiness;
mod recent;
mod routes;
mod server;
mod session;
mod socket;
mod token;

pub use address::{AddressError, AddressSettings};
pub use api::Sources;
pub use client::{AdminClient, AdminError};
pub use server::{AdminServer, AdminSockets, ServeError, serve};
pub(crate) use session::SESSION_COOKIE;
pub use socket::{SocketError, default_socket, make_directory_of, own_directory};
