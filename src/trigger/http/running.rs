//! The trigger task: one version of an app, from the moment it is behind a listener to the end of its last request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::app::HttpApp;
use super::listener::{Attached, BindError, ListenAddress, Listeners};
use crate::tasks;

/// An app that is being served.
pub struct RunningHttp {
    /// The real address.
    pub address: ListenAddress,
    /// The address as a client would write it.
    pub url: String,
    /// Ends when the app has been stopped and drained.
    pub task: JoinHandle<()>,
    /// Tells the task to stop, and how long requests in flight may go on. Dropping it stops without a drain.
    pub stop: oneshot::Sender<Duration>,
}

/// Puts `app` behind the listener of `address`.
pub async fn start(
    listeners: &Listeners,
    address: &ListenAddress,
    app: Arc<HttpApp>,
) -> Result<RunningHttp, BindError> {
    let attached = listeners.attach(address, &app).await?;
    let address = attached.address().clone();
    let url = match &address {
        ListenAddress::Tcp(address) => format!("http://{address}"),
        unix => unix.to_string(),
    };
    let (stop, stopped) = oneshot::channel();
    let task = tasks::spawn("http-trigger", run(attached, app, stopped));
    Ok(RunningHttp {
        address,
        url,
        task,
        stop,
    })
}

async fn run(attached: Attached, app: Arc<HttpApp>, stopped: oneshot::Receiver<Duration>) {
    let drain = stopped.await.unwrap_or_default();
    attached.detach();
    let life = app.life();
    life.drain.cancel();
    life.in_flight.close();
    if tokio::time::timeout(drain, life.in_flight.wait()).await.is_err() {
        tracing::warn!(
            app = app.id(),
            in_flight = life.in_flight.len(),
            "requests in flight are aborted"
        );
    }
    life.force.cancel();
    attached.abort_connections();
    life.in_flight.wait().await;
}
