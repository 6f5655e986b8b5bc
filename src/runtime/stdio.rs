//! What guests print, line by line into the log.

use std::io::Write;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};

/// A line longer than this many bytes is logged in pieces, so that a guest that never ends a line
/// can't fill the host's memory.
const MAX_LINE: usize = 8 << 10;

/// Which of its two outputs a guest wrote to.
#[derive(Clone, Copy)]
pub(super) enum Output {
    Stdout,
    Stderr,
}

/// One output of one component.
#[derive(Clone)]
pub(super) struct GuestOutput {
    pub(super) app: Arc<str>,
    pub(super) component: Arc<str>,
    pub(super) output: Output,
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
    fn log(&mut self) {
        let line = String::from_utf8_lossy(&self.line);
        let GuestOutput {
            app,
            component,
            output,
        } = &self.output;
        match output {
            Output::Stdout => {
                tracing::info!(target: "guest", %app, %component, stream = "stdout", "{}", line.trim_end())
            }
            Output::Stderr => {
                tracing::info!(target: "guest", %app, %component, stream = "stderr", "{}", line.trim_end())
            }
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
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Poll::Ready(self.write(bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
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
