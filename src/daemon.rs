//! The composition root: builds the long-lived parts once and wires them.
