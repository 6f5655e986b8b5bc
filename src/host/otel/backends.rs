//! The process's way to its collector.

use std::sync::{Arc, OnceLock};

use super::queue::Queue;
use super::settings::{Destination, Settings};
use super::signal::{Logs, Metrics, Signal, Traces};
use super::transport::Transport;

/// The queues of the signals that the operator wants, and what is said of all of them.
pub(super) struct Exporter {
    pub(super) traces: Option<Queue<Traces>>,
    pub(super) metrics: Option<Queue<Metrics>>,
    pub(super) logs: Option<Queue<Logs>>,
    pub(super) resource: Vec<(String, String)>,
}

/// Begins with the first component that is prepared.
#[derive(Default)]
pub(in crate::host) struct OtelBackends {
    exporter: OnceLock<Option<Arc<Exporter>>>,
}

impl OtelBackends {
    pub(super) fn exporter(&self) -> Option<Arc<Exporter>> {
        self.exporter.get_or_init(Exporter::start).clone()
    }

    /// Waits until the telemetry that waits now was sent or given up. Tries may take a while: the caller sets the limit.
    pub(in crate::host) async fn flush(&self) {
        let Some(Some(exporter)) = self.exporter.get() else {
            return;
        };
        let traces = async {
            if let Some(queue) = &exporter.traces {
                queue.flush().await;
            }
        };
        let metrics = async {
            if let Some(queue) = &exporter.metrics {
                queue.flush().await;
            }
        };
        let logs = async {
            if let Some(queue) = &exporter.logs {
                queue.flush().await;
            }
        };
        tokio::join!(traces, metrics, logs);
    }
}

impl Exporter {
    /// `None` when nothing is to be sent. A mistake in the environment is told, and keeps no app from running.
    fn start() -> Option<Arc<Self>> {
        let settings = match Settings::read(|name| std::env::var(name).ok()) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(%error, "no telemetry of guests is sent, as its settings can't be used");
                return None;
            }
        };
        let exporter = Self {
            traces: start(settings.traces),
            metrics: start(settings.metrics),
            logs: start(settings.logs),
            resource: settings.resource,
        };
        let any = exporter.traces.is_some() || exporter.metrics.is_some() || exporter.logs.is_some();
        any.then(|| Arc::new(exporter))
    }
}

fn start<S: Signal>(destination: Option<Destination>) -> Option<Queue<S>> {
    match Transport::new(destination?) {
        Ok(transport) => Some(Queue::start(transport)),
        Err(error) => {
            tracing::error!(
                signal = S::NAME,
                error = &error as &dyn std::error::Error,
                "telemetry of guests can't be sent"
            );
            None
        }
    }
}
