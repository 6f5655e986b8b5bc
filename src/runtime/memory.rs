//! The memory of one instance.

use wasmtime::{ResourceLimiter, Result};

use super::meter::Meter;
use crate::telemetry::MemoryOf;

/// Refuses growth beyond what an instance may have.
pub(super) struct MemoryLimiter {
    /// Bytes of one linear memory.
    one: Option<usize>,
    /// Bytes of all of them.
    all: Option<usize>,
    have: usize,
    meter: Meter,
    of: Option<MemoryOf>,
}

impl MemoryLimiter {
    pub(super) fn new(one: Option<usize>, all: Option<usize>, meter: Meter, of: Option<MemoryOf>) -> Self {
        Self {
            one,
            all,
            have: 0,
            meter,
            of,
        }
    }

    /// Nobody is told how much there was: the instance is only made to see that it can be.
    pub(super) fn is_of_trial(&mut self) {
        self.of = None;
    }
}

impl Drop for MemoryLimiter {
    fn drop(&mut self) {
        if let Some(of) = &self.of {
            of.used(self.have);
        }
    }
}

impl ResourceLimiter for MemoryLimiter {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        let have = self.have.saturating_add(desired.saturating_sub(current));
        let allowed = self.one.is_none_or(|most| desired <= most) && self.all.is_none_or(|most| have <= most);
        if allowed {
            self.have = have;
        } else {
            self.meter.memory_refused();
        }
        Ok(allowed)
    }

    fn table_growing(&mut self, _: usize, _: usize, _: Option<usize>) -> Result<bool> {
        // The pool has a limit of its own.
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::AppShare;

    #[test]
    fn memories_of_an_instance_count_together() {
        let meter = Meter::new(AppShare::default(), None);
        let mut limiter = MemoryLimiter::new(Some(300), Some(400), meter, None);
        let mut grow = |from, to| limiter.memory_growing(from, to, None).unwrap();
        assert!(grow(0, 200));
        assert!(grow(200, 300));
        assert!(!grow(300, 301));
        assert!(!grow(0, 101));
        assert!(grow(0, 100));
        assert!(!grow(100, 101));
    }
}
