//! The one engine, the linker, the data of a store, the epoch clock.
