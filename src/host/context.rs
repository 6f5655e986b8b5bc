//! What a host interface may know of the component that it is prepared for.

use std::path::Path;
use std::sync::Arc;

use super::permission::OutboundPermission;
use super::state_quota::StateQuota;
use crate::app::{Component, ComponentMetadata};
use crate::net::Outbound;
use crate::runtime_config::RuntimeConfig;
use crate::variables::Variables;

/// One component of one version of an app, as its host interfaces see it when the app is prepared.
pub struct ComponentContext<'a> {
    /// The app, as its file names it: no other app of the daemon has this name.
    pub app: &'a Arc<str>,
    pub component: &'a Component,
    pub metadata: &'a ComponentMetadata,
    pub variables: &'a Arc<Variables>,
    /// What the component may reach.
    pub permission: &'a Arc<OutboundPermission>,
    /// Blocked networks and numbers of connections, for all components of the app.
    pub outbound: &'a Arc<Outbound>,
    /// The app's, over the daemon's; paths are absolute.
    pub config: &'a RuntimeConfig,
    /// Absolute; it exists.
    pub state_dir: &'a Path,
    /// How much that may hold.
    pub state_quota: Option<&'a Arc<StateQuota>>,
}
