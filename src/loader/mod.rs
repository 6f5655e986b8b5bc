//! Stored content to components that can be linked: modules made into components, dependencies composed in, names of
//! release candidates rewritten, code compiled once and kept, mounted files laid out.
//!
//! Bytes go in and components come out. Nothing here knows a registry, a socket or a trigger.

mod cache;
mod capability;
mod code;
mod command;
mod compile;
mod componentize;
mod compose;
mod deny;
mod dependency_name;
mod disk;
mod entry;
mod error;
mod files;
mod handler;
mod imports;
mod load;
mod module_info;
mod old_abi;
mod rename;
mod reply;
mod residents;
mod stub_module;
mod sweep;
#[cfg(test)]
pub(crate) mod testing;
mod trial;
mod verify;

pub use cache::{Code, CompileCounts, Compiled};
pub use code::ComponentCode;
pub use error::LoadError;
pub use handler::{CommandType, HandlerType};
pub use imports::{MissingImport, link};
pub use load::{ComponentError, LoadedComponent, Loader};
pub use residents::{Resident, Residents};
pub use trial::Trial;
pub use verify::verify;
