//! A line for each request that has ended (`docs/contract/http-trigger.md §13`).
//!
//! Requests hand what there is to say to the one thread that writes; where it writes more slowly than they come, lines are
//! lost, and no request waits.

mod line;
mod record;
mod writer;

use std::sync::Arc;

use http::Request;

pub(super) use record::{Outgoing, Record};

use self::line::Entry;
use self::writer::Writer;
use super::client::{ClientFacts, RequestFacts};
use super::request_id::RequestId;
use super::settings::AccessLogSettings;
use crate::logs::LineThread;
use crate::telemetry::Tally;

/// Lines that wait for the writer.
const CAPACITY: usize = 8192;

/// The access log. A cheap handle.
#[derive(Clone)]
pub struct AccessLog {
    thread: LineThread<Box<Entry>>,
    lost: Arc<Tally>,
}

impl AccessLog {
    /// Opens the file, and starts the thread that writes to it.
    pub fn open(settings: &AccessLogSettings) -> std::io::Result<Self> {
        let writer = Writer::open(settings.clone())?;
        Ok(Self {
            thread: LineThread::start("access log", CAPACITY, writer)?,
            lost: Arc::default(),
        })
    }

    /// Opens the file again: another program has renamed it.
    pub fn reopen(&self) {
        self.thread.reopen();
    }

    /// Has what has been said so far written, if that is possible in a moment.
    pub async fn close(self) {
        self.thread.close().await;
    }

    /// Begins with what a request says.
    pub(super) fn begin<B>(
        &self,
        request: &Request<B>,
        client: &ClientFacts,
        facts: &RequestFacts,
        id: &RequestId,
    ) -> Record {
        Record::new(self.clone(), Entry::of(request, client, facts, id))
    }

    fn send(&self, entry: Box<Entry>) {
        if !self.thread.send(entry)
            && let Some(lost) = self.lost.add()
        {
            tracing::warn!(lost, "lines of the access log are lost: it is written too slowly");
        }
    }
}
