//! The idle connections of an app.

use std::sync::Arc;

use super::live::Live;
use crate::net::{IdlePool, IdlePools, Kind, Outbound};

/// The idle connections of one version of an app.
pub(super) type Pool = IdlePool<Live>;

/// The pools of every app version that runs.
#[derive(Default)]
pub(in crate::host) struct MysqlBackends(IdlePools<Live>);

impl MysqlBackends {
    pub(super) fn pool(&self, outbound: &Arc<Outbound>) -> Arc<Pool> {
        self.0.beside(outbound, Kind::Mysql)
    }
}
