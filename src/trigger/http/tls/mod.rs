//! TLS in front of apps: certificates from files or by ACME, handshakes, and the way from http to https.
//!
//! | file | responsibility |
//! |---|---|
//! | `pem.rs` | PEM files to certificates, keys and authorities |
//! | `files.rs` | the same, read again when the files change |
//! | `app.rs` | what one app's handshakes are done with |
//! | `handshake.rs` | a client's first bytes to a connection |
//! | `names.rs` | whose certificate is for a name |
//! | `redirect.rs` | from http to https |
//! | `trouble.rs` | what is told of it |
//! | `acme/` | certificates that are ordered (RFC 8555) |
//!
//! Long-lived: the task `certificates`, which looks at every file once a second and ends with the last handle; one task for
//! each name that certificates are ordered for, which ends when no app has that name.

mod acme;
mod app;
mod files;
mod handshake;
mod names;
mod pem;
mod redirect;
mod trouble;

pub use acme::{Acme, AcmeError, AcmeSettings};
pub use app::{AppTls, EndpointTls, TlsError};
pub use files::{CertificateFiles, check};
pub use pem::CertificateError;

pub(super) use acme::Challenges;
pub(super) use handshake::{Handshakes, TlsFacts};
pub(super) use names::Names;
pub(super) use redirect::{HTTPS_PORT, location};
pub(super) use trouble::merge;
