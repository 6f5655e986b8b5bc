//! One app file: raw JSON to typed, once.
