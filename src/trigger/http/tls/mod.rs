//! TLS in front of apps: certificates from files or by ACME, handshakes, and the way from http to https.
//!
//! | file | responsibility |
//! |---|---|
//! | `app.rs` | what one app's handshakes are done with |
//! | `handshake.rs` | a client's first bytes to a connection |
//! | `names.rs` | whose certificate is for a name |
//! | `redirect.rs` | from http to https |
//! | `trouble.rs` | what is told of it |
//! | `acme/` | certificates that are ordered (RFC 8555) |
//!
//! Long-lived: one task for each name that certificates are ordered for, which ends when no app has that name.

mod acme;
mod app;
mod handshake;
mod names;
mod redirect;
mod trouble;

pub use acme::{Acme, AcmeError, AcmeSettings};
pub use app::{AppTls, EndpointTls, TlsError};

pub(super) use acme::Challenges;
pub(super) use handshake::{Handshakes, TlsFacts};
pub(super) use names::Names;
pub(super) use redirect::{HTTPS_PORT, location};
pub(super) use trouble::merge;
