//! App files.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::address;

/// An app file's content, and the address that it names.
#[derive(Clone)]
pub struct App {
    content: Value,
    pub address: SocketAddr,
}

impl App {
    /// On an address of its own.
    pub fn new(reference: &str) -> Self {
        Self::at(address::next(), reference)
    }

    pub fn at(address: SocketAddr, reference: &str) -> Self {
        let content = json!({"reference": reference, "address": address.to_string()});
        Self { content, address }
    }

    /// The same with another member, or with another value of one.
    pub fn with(mut self, member: &str, value: impl Into<Value>) -> Self {
        self.content[member] = value.into();
        self
    }

    pub fn json(&self) -> String {
        self.content.to_string()
    }
}
