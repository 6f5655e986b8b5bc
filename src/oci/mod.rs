//! A reference to verified local content (`docs/contract/oci.md`).
//!
//! [`Source`] says where an artifact comes from, [`Puller::resolve`] what it means now (a [`Digest`]), and
//! [`Puller::pull`] brings everything that digest needs into the [`Store`] and tells what the app is. Content that is
//! in the store is never fetched again, and no network is touched when all of it is.
//!
//! Both refuse what the [`Policy`] does not let run.
//!
//! Knows registries, image layouts, credentials and the disk; knows nothing of Wasm or of what a locked app says.

mod auth;
mod client;
mod digest;
mod error;
mod fetch;
mod layout;
mod limits;
mod login;
mod manifest;
mod origin;
mod progress;
mod pull;
mod reference;
mod resolutions;
mod store;
mod trust;
mod unpack;
mod whole;

#[cfg(test)]
mod testing;

pub use auth::CredentialSources;
pub use digest::{Digest, DigestError};
pub use error::OciError;
pub use limits::Limits;
pub use login::{Login, registry_host};
pub use progress::{LogProgress, Progress, ProgressItem};
pub use pull::{AppConfig, Artifact, FetchCounts, Looked, Puller, PullerConfig};
pub use reference::{Reference, ReferenceError, Source};
pub use resolutions::Resolutions;
pub(crate) use store::damage_of_blob;
pub use store::{AreaUsage, Damage, Lease, Pin, Pruned, Store, StoreError, Usage, touch};
pub use trust::{KeyError, Pattern, PatternError, Policy, Refusal, TrustedKeys};
