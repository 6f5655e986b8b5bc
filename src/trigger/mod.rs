//! What starts a guest: for now, HTTP requests.
pub mod http;
