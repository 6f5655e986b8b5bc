//! The trigger's run: one version of an app, from the moment it is behind a listener to the end of its last request.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::DropGuard;

use super::app::HttpApp;
use super::bind::{BindError, ListenAddress};
use super::listener::{Attached, Listeners};
use super::tls::{self, EndpointTls, HTTPS_PORT};
use crate::net::{Location, PathPrefix, Site};

/// An app that is being served.
pub struct RunningHttp {
    /// The real address.
    pub address: ListenAddress,
    /// Each host and path of the app as a client would write it; at least one.
    pub urls: Vec<String>,
    /// What stands before the app's routes in the first of them.
    pub base: String,
    /// Why clients are not met as the app's file asks; `None` where there is no TLS.
    pub trouble: Option<watch::Receiver<Option<String>>>,
    pub run: HttpRun,
}

/// One version of an app behind its listener. Dropped, it ends at once, and the app's requests with it.
pub struct HttpRun {
    attached: Attached,
    app: Arc<HttpApp>,
    _forced: DropGuard,
}

/// Puts `app` at `site` behind the listener of `address`.
pub async fn start(
    listeners: &Listeners,
    address: &ListenAddress,
    site: &Site,
    app: Arc<HttpApp>,
    tls: Option<EndpointTls>,
) -> Result<RunningHttp, BindError> {
    let attached = listeners.attach(address, site, &app, tls.as_ref()).await?;
    let scheme = if tls.is_some() { &HTTPS } else { &HTTP };
    let trouble = tls.map(|tls| {
        tls.app.begin();
        tls::merge(tls.app.troubles())
    });
    let address = attached.address().clone();
    let urls = site
        .locations()
        .map(|location| url(scheme, &address, &location))
        .collect();
    let base = site.locations().next().map(|location| Location {
        path: PathPrefix::default(),
        ..location
    });
    let base = base.map_or_else(String::new, |location| url(scheme, &address, &location));
    Ok(RunningHttp {
        address,
        urls,
        base: base + site.stripped(),
        trouble,
        run: HttpRun {
            attached,
            _forced: app.life().force.clone().drop_guard(),
            app,
        },
    })
}

/// A scheme, and the port that stands in no URL of it.
struct Protocol {
    scheme: &'static str,
    port: u16,
}

const HTTP: Protocol = Protocol {
    scheme: "http",
    port: 80,
};
const HTTPS: Protocol = Protocol {
    scheme: "https",
    port: HTTPS_PORT,
};

fn url(protocol: &Protocol, address: &ListenAddress, location: &Location) -> String {
    let (scheme, path) = (protocol.scheme, &location.path);
    match (address, &location.host) {
        (ListenAddress::Tcp(address), None) => format!("{scheme}://{address}{path}"),
        (ListenAddress::Tcp(address), Some(host)) if address.port() == protocol.port => {
            format!("{scheme}://{host}{path}")
        }
        (ListenAddress::Tcp(address), Some(host)) => format!("{scheme}://{host}:{}{path}", address.port()),
        // No URL names a socket's file.
        (unix, _) => format!("{unix} {location}").trim_end().to_owned(),
    }
}

impl HttpRun {
    /// Takes the app away; requests in flight have so long. Returns when the last of them has ended.
    pub async fn stop(self, drain: Duration) {
        let life = self.app.life();
        // First of all: what looks for the last app of a listener, or for a place that is left, asks for this.
        life.drain.cancel();
        self.attached.detach();
        life.in_flight.close();
        if tokio::time::timeout(drain, life.in_flight.wait()).await.is_err() {
            tracing::warn!(
                app = self.app.id(),
                in_flight = life.in_flight.len(),
                "requests in flight are aborted"
            );
        }
        life.force.cancel();
        self.attached.end();
        life.in_flight.wait().await;
    }
}
