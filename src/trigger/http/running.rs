//! The trigger task: one version of an app, from the moment it is behind a listener to the end of its last request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::app::HttpApp;
use super::listener::{Attached, BindError, ListenAddress, Listeners};
use crate::net::{Location, PathPrefix, Site};
use crate::tasks;

/// An app that is being served.
pub struct RunningHttp {
    /// The real address.
    pub address: ListenAddress,
    /// Each host and path of the app as a client would write it; at least one.
    pub urls: Vec<String>,
    /// What stands before the app's routes in the first of them.
    pub base: String,
    /// Ends when the app has been stopped and drained.
    pub task: JoinHandle<()>,
    /// Tells the task to stop, and how long requests in flight may go on. Dropping it stops without a drain.
    pub stop: oneshot::Sender<Duration>,
}

/// Puts `app` at `site` behind the listener of `address`.
pub async fn start(
    listeners: &Listeners,
    address: &ListenAddress,
    site: &Site,
    app: Arc<HttpApp>,
) -> Result<RunningHttp, BindError> {
    let attached = listeners.attach(address, site, &app).await?;
    let address = attached.address().clone();
    let urls = site
        .locations()
        .map(|location| url(&address, &location))
        .collect();
    let base = site.locations().next().map(|location| Location {
        path: PathPrefix::default(),
        ..location
    });
    let base = base.map_or_else(String::new, |location| url(&address, &location));
    let (stop, stopped) = oneshot::channel();
    let task = tasks::spawn("http-trigger", run(attached, app, stopped));
    Ok(RunningHttp {
        address,
        urls,
        base: base + site.stripped(),
        task,
        stop,
    })
}

/// The port that stands in no URL.
const HTTP_PORT: u16 = 80;

fn url(address: &ListenAddress, location: &Location) -> String {
    let path = &location.path;
    match (address, &location.host) {
        (ListenAddress::Tcp(address), None) => format!("http://{address}{path}"),
        (ListenAddress::Tcp(address), Some(host)) if address.port() == HTTP_PORT => {
            format!("http://{host}{path}")
        }
        (ListenAddress::Tcp(address), Some(host)) => format!("http://{host}:{}{path}", address.port()),
        // No URL names a socket's file.
        (unix, _) => format!("{unix} {location}").trim_end().to_owned(),
    }
}

async fn run(attached: Attached, app: Arc<HttpApp>, stopped: oneshot::Receiver<Duration>) {
    let drain = stopped.await.unwrap_or_default();
    let life = app.life();
    // First of all: what looks for the last app of a listener, or for a place that is left, asks for this.
    life.drain.cancel();
    attached.detach();
    life.in_flight.close();
    if tokio::time::timeout(drain, life.in_flight.wait()).await.is_err() {
        tracing::warn!(
            app = app.id(),
            in_flight = life.in_flight.len(),
            "requests in flight are aborted"
        );
    }
    life.force.cancel();
    attached.end();
    life.in_flight.wait().await;
}
