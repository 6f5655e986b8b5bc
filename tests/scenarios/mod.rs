//! One file for each part of the issue that they cover.

mod addresses;
mod artifacts;
mod cache;
mod demo;
mod directory;
mod edits;
mod files;
mod generations;
mod imports;
mod list;
mod outbound;
mod redeploy;
mod registries;
mod registry_ways;
mod requests;
mod serving;
mod serving_p3;
mod status;
