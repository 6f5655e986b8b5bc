//! A reference to verified local content (`docs/contract/oci.md`).
