//! The three interfaces.

use super::Otel;
use super::bindings::wasi::otel::{logs, metrics, tracing as spans, types};
use super::spans::{OpenSpans, no_span, outer};
use crate::otlp::{Queue, Traces};
use crate::runtime::HostState;

impl types::Host for HostState {}

impl spans::Host for HostState {
    async fn on_start(&mut self, context: spans::SpanContext) -> wasmtime::Result<()> {
        match self.interface::<Otel>()?.traces() {
            Some(_) => {
                self.local::<OpenSpans>().begin(context)?;
                self.enter_innermost();
                Ok(())
            }
            None => Ok(()),
        }
    }

    async fn on_end(&mut self, span: spans::SpanData) -> wasmtime::Result<()> {
        let otel = self.interface::<Otel>()?;
        let Some(queue) = otel.traces() else {
            return Ok(());
        };
        self.local::<OpenSpans>().end(&span.span_context)?;
        self.enter_innermost();
        if let Some(ended) = otel.ended(span) {
            // What does not fit is counted there, and the guest can't do anything about it.
            let _ = queue.push(ended, &otel.budget);
        }
        Ok(())
    }

    async fn outer_span_context(&mut self) -> wasmtime::Result<spans::SpanContext> {
        Ok(self.span().outer().map_or_else(no_span, |span| outer(&span)))
    }
}

impl metrics::Host for HostState {
    async fn export(&mut self, given: metrics::ResourceMetrics) -> wasmtime::Result<Result<(), String>> {
        let otel = self.interface::<Otel>()?;
        let queue = otel
            .exporter
            .as_ref()
            .and_then(|exporter| exporter.metrics.as_ref());
        Ok(match queue {
            Some(queue) => queue
                .push(otel.measured(given), &otel.budget)
                .map_err(|full| full.to_string()),
            None => Ok(()),
        })
    }
}

impl logs::Host for HostState {
    async fn on_emit(&mut self, record: logs::LogRecord) -> wasmtime::Result<()> {
        let otel = self.interface::<Otel>()?;
        if let Some(queue) = otel.exporter.as_ref().and_then(|exporter| exporter.logs.as_ref()) {
            let _ = queue.push(otel.record(record), &otel.budget);
        }
        Ok(())
    }
}

impl HostState {
    /// What the host does from now on belongs to the guest's innermost span.
    fn enter_innermost(&mut self) {
        let innermost = self.local::<OpenSpans>().innermost();
        self.span().within(innermost);
    }
}

impl Otel {
    fn traces(&self) -> Option<&Queue<Traces>> {
        self.exporter.as_ref()?.traces.as_ref()
    }
}
