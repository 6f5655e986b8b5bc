//! The queues of the signals that the operator wants.

use std::sync::Arc;

use super::queue::Queue;
use super::settings::{Destination, Settings};
use super::signal::{Logs, Metrics, Signal, Traces};
use super::transport::Transport;

/// The queues of the signals that the operator wants, and what is said of all of them.
pub struct Exporter {
    pub(crate) traces: Option<Queue<Traces>>,
    pub(crate) metrics: Option<Queue<Metrics>>,
    pub(crate) logs: Option<Queue<Logs>>,
    /// Attributes of the process.
    pub(crate) resource: Vec<(String, String)>,
}

impl Exporter {
    /// `None` when nothing is to be sent. A mistake in the environment is told, and keeps no app from running.
    pub fn start() -> Option<Arc<Self>> {
        let settings = match Settings::read(|name| std::env::var(name).ok()) {
            Ok(settings) => settings,
            Err(error) => {
                tracing::error!(%error, "no telemetry is sent, as its settings can't be used");
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

    /// Waits until the telemetry that waits now was sent or given up. Tries may take a while: the caller sets the limit.
    pub async fn flush(&self) {
        async fn flushed<S: Signal>(queue: Option<&Queue<S>>) {
            if let Some(queue) = queue {
                queue.flush().await;
            }
        }
        tokio::join!(
            flushed(self.traces.as_ref()),
            flushed(self.metrics.as_ref()),
            flushed(self.logs.as_ref())
        );
    }
}

fn start<S: Signal>(destination: Option<Destination>) -> Option<Queue<S>> {
    match Transport::new(destination?) {
        Ok(transport) => Some(Queue::start(transport)),
        Err(error) => {
            tracing::error!(
                signal = S::NAME,
                error = &error as &dyn std::error::Error,
                "telemetry can't be sent"
            );
            None
        }
    }
}
