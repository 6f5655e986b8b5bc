//! A line for each request that has ended (`docs/contract/http-trigger.md §13`).
//!
//! Requests hand what there is to say to the one thread that writes; where it writes more slowly than they come, lines are
//! lost, and no request waits.

mod line;
mod record;
mod writer;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use http::Request;
use tokio::sync::{mpsc, oneshot};

pub(super) use record::{Outgoing, Record};

use self::line::Entry;
use self::writer::Writer;
use super::client::{ClientFacts, RequestFacts};
use super::request_id::RequestId;
use super::settings::AccessLogSettings;
use crate::telemetry::Tally;

/// Lines that wait for the writer.
const CAPACITY: usize = 8192;
/// How long the last lines may take at the end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);

/// The access log. A cheap handle.
#[derive(Clone)]
pub struct AccessLog {
    lines: mpsc::Sender<Message>,
    /// Asks the writer to open its file again before the next line.
    reopen: Arc<AtomicBool>,
    lost: Arc<Tally>,
}

enum Message {
    Line(Box<Entry>),
    /// Look at what was asked for besides.
    Wake,
    /// Write what has come so far; nothing will come after it.
    Close(oneshot::Sender<()>),
}

impl AccessLog {
    /// Opens the file, and starts the thread that writes to it.
    pub fn open(settings: &AccessLogSettings) -> std::io::Result<Self> {
        let (lines, received) = mpsc::channel(CAPACITY);
        let reopen = Arc::new(AtomicBool::new(false));
        let writer = Writer::open(settings.clone(), reopen.clone())?;
        std::thread::Builder::new()
            .name("access-log".into())
            .spawn(move || writer.run(received))?;
        Ok(Self {
            lines,
            reopen,
            lost: Arc::default(),
        })
    }

    /// Opens the file again: another program has renamed it.
    pub fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        // When there is no room, there are lines before which the writer will look.
        let _ = self.lines.try_send(Message::Wake);
    }

    /// Has what has been said so far written, if that is possible in a moment.
    pub async fn close(self) {
        let (done, written) = oneshot::channel();
        let closed = async {
            if self.lines.send(Message::Close(done)).await.is_ok() {
                // The writer ends in both cases.
                let _ = written.await;
            }
        };
        if tokio::time::timeout(CLOSE_TIMEOUT, closed).await.is_err() {
            tracing::warn!("the last lines of the access log are lost: it is written too slowly");
        }
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
        if let Err(mpsc::error::TrySendError::Full(_)) = self.lines.try_send(Message::Line(entry))
            && let Some(lost) = self.lost.add()
        {
            tracing::warn!(lost, "lines of the access log are lost: it is written too slowly");
        }
    }
}
