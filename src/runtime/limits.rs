//! What the instances of one app may use.

use std::sync::Arc;
use std::time::Duration;

use super::meter::Meter;
use super::overruns::{LimitReached, Overruns};
use super::stdio::OutputRate;
use super::turns::AppShare;

/// Shared by all components of one version of an app.
#[derive(Debug, Clone)]
pub struct InstanceLimits {
    /// Bytes that one linear memory may have; growing it further is refused.
    pub one_memory: Option<usize>,
    /// The same for all linear memories of an instance together.
    pub memory: Option<usize>,
    /// The processor's time that one request, event or run may take.
    pub cpu_time: Option<Duration>,
    /// How much its guests may print.
    pub output: Option<Arc<OutputRate>>,
    /// What it uses of the process's threads.
    pub share: AppShare,
    pub overruns: Arc<Overruns>,
}

impl InstanceLimits {
    /// Whether one of the limits is behind an engine's error; then it is counted.
    pub fn caused(&self, error: &wasmtime::Error) -> bool {
        let limit = LimitReached::of(error);
        if let Some(limit) = limit {
            self.overruns.record(limit.reason());
        }
        limit.is_some()
    }

    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.share.clone(), self.cpu_time)
    }
}

#[cfg(test)]
impl Default for InstanceLimits {
    /// None.
    fn default() -> Self {
        Self {
            one_memory: None,
            memory: None,
            cpu_time: None,
            output: None,
            share: AppShare::default(),
            overruns: Arc::new(Overruns::alone()),
        }
    }
}
