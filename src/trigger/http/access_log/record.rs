//! From a request to its line: a response that says when it has ended.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use wasmtime_wasi_http::{Error, WasiBody};

use super::AccessLog;
use super::line::Entry;
use crate::metrics::Served;
use crate::telemetry::RequestTelemetry;
use crate::trigger::http::timeouts::InFlight;

/// The line of a request, written when this is dropped: at the end of its response, or when the client leaves before.
pub(in crate::trigger::http) struct Record {
    log: AccessLog,
    /// There until it is dropped.
    entry: Option<Box<Entry>>,
    began: Instant,
}

impl Record {
    pub(super) fn new(log: AccessLog, entry: Box<Entry>) -> Self {
        Self {
            log,
            entry: Some(entry),
            began: Instant::now(),
        }
    }

    /// This app answers.
    pub(in crate::trigger::http) fn served_by(&mut self, app: Arc<str>) {
        if let Some(entry) = &mut self.entry {
            entry.app = Some(app);
        }
    }

    fn answered(&mut self, status: StatusCode) {
        if let Some(entry) = &mut self.entry {
            entry.status = status.as_u16();
        }
    }

    fn sent(&mut self, bytes: usize) {
        if let Some(entry) = &mut self.entry {
            entry.bytes += bytes as u64;
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if let Some(mut entry) = self.entry.take() {
            entry.duration = self.began.elapsed();
            self.log.send(entry);
        }
    }
}

/// A response's body on its way to the client, by which the end of the request is known.
pub(in crate::trigger::http) struct Outgoing {
    // In this order: what waits for the end of the response finds its line said, and it counted.
    record: Option<Record>,
    _told: Option<Box<RequestTelemetry>>,
    _served: Served,
    body: WasiBody,
    _in_flight: InFlight,
}

impl Outgoing {
    pub(in crate::trigger::http) fn wrap(
        response: Response<WasiBody>,
        mut record: Option<Record>,
        mut told: Option<Box<RequestTelemetry>>,
        mut served: Served,
        in_flight: InFlight,
    ) -> Response<Self> {
        if let Some(record) = &mut record {
            record.answered(response.status());
        }
        if let Some(told) = &mut told {
            told.answered(response.status());
        }
        served.answered(response.status());
        response.map(|body| Self {
            record,
            _told: told,
            _served: served,
            body,
            _in_flight: in_flight,
        })
    }
}

impl Body for Outgoing {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let (Some(record), Some(data)) = (&mut self.record, frame.data_ref())
        {
            record.sent(data.len());
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
