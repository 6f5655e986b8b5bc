mod app;
mod labels;
mod spin1;
mod spin2;
mod spin3;
mod wasi;
