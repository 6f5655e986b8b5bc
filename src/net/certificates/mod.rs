//! Certificates of servers, and whose certificates clients may show: files in PEM, read again when they change.
//!
//! Long-lived: the task `certificates`, which looks at every file once a second and ends with the last handle.

mod files;
mod pem;

pub use files::{CertificateFiles, Watched, check as check_certificates};
pub use pem::{Certificate, CertificateError, ClientAuthority, PemFile};
