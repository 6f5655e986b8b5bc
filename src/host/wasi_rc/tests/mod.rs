//! Real guests of both candidates against the linked functions, and the definitions against what is linked.

mod definitions;
mod direct;
mod host;
mod sdk2;
