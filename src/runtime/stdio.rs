//! What guests print, line by line into the app's files and the daemon's log.

use std::io::Write;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use governor::{DefaultDirectRateLimiter, Quota};
use opentelemetry::Context;
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

use super::limits::InstanceLimits;
use crate::logs::{ComponentLog, MAX_LINE, Stream};
use crate::metrics::Reason;
use crate::telemetry::CurrentSpan;

/// How much the guests of one app may print.
#[derive(Debug)]
pub struct OutputRate(DefaultDirectRateLimiter);

impl OutputRate {
    /// `bytes` a second; after a pause as many at once, and one line at least.
    pub fn new(bytes: u32) -> Self {
        let rate = NonZeroU32::new(bytes).unwrap_or(NonZeroU32::MIN);
        // It is a small number, and not zero.
        let line = NonZeroU32::new(MAX_LINE as u32).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_second(rate).allow_burst(rate.max(line));
        Self(DefaultDirectRateLimiter::direct(quota))
    }

    /// Whether a line of so many bytes may be printed now.
    fn allows(&self, bytes: usize) -> bool {
        // For so much there always is room after a while.
        match u32::try_from(bytes.min(MAX_LINE)).ok().and_then(NonZeroU32::new) {
            Some(bytes) => matches!(self.0.check_n(bytes), Ok(Ok(()))),
            None => true,
        }
    }
}

/// One output of one component.
#[derive(Clone)]
pub(super) struct GuestOutput {
    pub(super) app: Arc<str>,
    pub(super) component: Arc<str>,
    pub(super) limits: InstanceLimits,
    pub(super) stream: Stream,
    /// `None`: the daemon's log alone.
    pub(super) log: Option<ComponentLog>,
    /// What it is printed for.
    pub(super) span: CurrentSpan,
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(LineLog {
            output: self.clone(),
            line: Vec::new(),
        })
    }
}

struct LineLog {
    output: GuestOutput,
    line: Vec<u8>,
}

impl LineLog {
    /// What is beyond the app's limit is dropped and counted.
    fn log(&mut self) {
        let GuestOutput {
            app,
            component,
            limits,
            stream,
            log,
            span,
        } = &self.output;
        if let Some(rate) = &limits.output
            && !rate.allows(self.line.len())
        {
            limits.overruns.record(Reason::LogRate);
            self.line.clear();
            return;
        }
        if let Some(log) = log {
            log.write(*stream, &self.line);
        }
        if log.as_ref().is_none_or(|log| log.target().has_log()) {
            let _in_span = span.get().map(Context::attach);
            let line = String::from_utf8_lossy(&self.line);
            tracing::info!(target: "guest", %app, %component, stream = stream.name(), "{}", line.trim_end());
        }
        self.line.clear();
    }
}

impl Write for LineLog {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            for part in piece.chunks(MAX_LINE) {
                self.line.extend_from_slice(part);
                if self.line.ends_with(b"\n") || self.line.len() >= MAX_LINE {
                    self.log();
                }
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl AsyncWrite for LineLog {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut std::task::Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Drop for LineLog {
    fn drop(&mut self) {
        if !self.line.is_empty() {
            self.log();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_line_fits_into_the_smallest_rate_once() {
        let rate = OutputRate::new(1);
        assert!(rate.allows(MAX_LINE));
        assert!(!rate.allows(MAX_LINE));
        assert!(rate.allows(0));
    }

    #[test]
    fn what_is_beyond_the_rate_is_dropped_and_counted() {
        let limits = InstanceLimits {
            output: Some(Arc::new(OutputRate::new(1))),
            ..InstanceLimits::default()
        };
        let mut log = LineLog {
            output: GuestOutput {
                app: "app".into(),
                component: "c".into(),
                limits: limits.clone(),
                stream: Stream::Stdout,
                log: None,
                span: CurrentSpan::default(),
            },
            line: Vec::new(),
        };
        for _ in 0..MAX_LINE / 10 + 3 {
            log.write_all(b"ten bytes\n").unwrap();
        }
        assert_eq!(limits.overruns.total(Reason::LogRate), 3);
    }
}
