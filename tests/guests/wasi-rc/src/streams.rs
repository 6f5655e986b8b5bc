//! Reading, writing and waiting, the same for both release candidates.

use crate::bindings::wasi::io::poll::{self, Pollable};
use crate::bindings::wasi::io::streams::{InputStream, OutputStream, StreamError};

/// The most that one blocking write takes.
const WRITE_SIZE: usize = 4096;

pub fn read_all(stream: InputStream) -> Vec<u8> {
    let mut all = Vec::new();
    loop {
        match stream.blocking_read(64 * 1024) {
            Ok(chunk) => all.extend(chunk),
            Err(StreamError::Closed) => return all,
            Err(StreamError::LastOperationFailed(error)) => panic!("{}", error.to_debug_string()),
        }
    }
}

pub fn write_all(stream: &OutputStream, bytes: &[u8]) {
    for chunk in bytes.chunks(WRITE_SIZE) {
        stream.blocking_write_and_flush(chunk).expect("the stream takes it");
    }
}

#[cfg(feature = "october")]
pub fn wait(pollable: &Pollable) {
    poll::poll_one(pollable);
}

#[cfg(feature = "november")]
pub fn wait(pollable: &Pollable) {
    pollable.block();
    assert!(pollable.ready());
}

#[cfg(feature = "october")]
pub fn wait_any(pollables: &[&Pollable]) -> Vec<u32> {
    poll::poll_list(pollables)
}

#[cfg(feature = "november")]
pub fn wait_any(pollables: &[&Pollable]) -> Vec<u32> {
    poll::poll(pollables)
}
