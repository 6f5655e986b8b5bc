//! The process as the kernel sees it, under the names that all of Prometheus's clients have for it.

use std::fmt;
use std::time::{Duration, SystemTime};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use rustix::time::{ClockId, clock_gettime};

use crate::machine;

/// What is read of the process.
#[derive(Debug)]
pub(super) struct ProcessSeries {
    /// Since 1970.
    began: Duration,
}

impl ProcessSeries {
    pub(super) fn new() -> Self {
        let began = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            // A clock before 1970 has been set to nothing.
            began: began.unwrap_or_default(),
        }
    }
}

impl Collector for ProcessSeries {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let cpu = clock_gettime(ClockId::ProcessCPUTime);
        let cpu = cpu.tv_sec as f64 + cpu.tv_nsec as f64 / 1e9;
        encoder
            .encode_descriptor(
                "process_cpu_seconds",
                "Time of the processor that was used.",
                None,
                MetricType::Counter,
            )?
            .encode_counter::<NoLabelSet, _, f64>(&cpu, None)?;
        let gauges = [
            (
                "process_resident_memory_bytes",
                "Memory in use.",
                machine::resident_memory().map(|bytes| bytes as f64),
            ),
            (
                "process_open_fds",
                "Open file descriptors.",
                machine::open_descriptors().map(|count| count as f64),
            ),
            (
                "process_max_fds",
                "File descriptors that may be open.",
                machine::max_descriptors().map(|most| most as f64),
            ),
            (
                "process_start_time_seconds",
                "When the admin API began, since 1970.",
                Some(self.began.as_secs_f64()),
            ),
        ];
        for (name, help, value) in gauges {
            // Systems without /proc don't tell.
            if let Some(value) = value {
                encoder
                    .encode_descriptor(name, help, None, MetricType::Gauge)?
                    .encode_gauge(&value)?;
            }
        }
        Ok(())
    }
}
