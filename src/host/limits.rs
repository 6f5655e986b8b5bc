//! What the host holds for a guest at most (`docs/contract/host-interfaces.md §3`).

/// Bytes of one result that has to be held whole.
pub(super) const MAX_BUFFERED: usize = 128 << 20;
/// What the guest is told about a larger one.
pub(super) const TOO_LARGE: &str = "query result exceeds limit of 134217728 bytes";
