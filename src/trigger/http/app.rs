//! One version of an app, ready to serve: request to response (`docs/contract/http-trigger.md §4`).

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock, Weak};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime_wasi_http::WasiBody;

use super::bind::ListenAddress;
use super::body::Oversize;
use super::client::RequestFacts;
use super::ending::Ending;
use super::exchange::{ClientGuard, GuestBody};
use super::executor::{Executor, GuestError, PathMatches};
use super::headers::{self, Asked, Origin};
use super::host;
use super::parts::{AppParts, Endpoint, HttpComponent, Rest, Slot};
use super::prepare::KIND;
use super::request_id::RequestId;
use super::respond::{self, Info, Refusal, refuse};
use super::router::RouteMatch;
use super::timeouts::TimedBody;
use crate::metrics::{AppMetrics, Failure};
use crate::net::Site;
use crate::runtime::{DispatchError, LocalDispatch, MAX_CHAIN_DEPTH, Overruns, Reason};
use crate::telemetry;
use crate::trigger::guest::Life;

/// Paths that the host answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";
const HEALTH: &str = "/.well-known/spin/health";

/// One version of an app. Its listener holds it, and every request that it has in flight. While nobody asks for it, it is
/// little more than its name: see [`AppParts`](super::parts::AppParts).
pub struct HttpApp {
    id: Arc<str>,
    /// Where its requests, and the limits that they reach, are counted.
    overruns: Arc<Overruns>,
    life: Life,
    pub(super) slot: Slot,
    /// Where the app is served, once it is: the authority of its requests to itself. `None`: no address has a name.
    address: OnceLock<Option<SocketAddr>>,
    this: Weak<Self>,
}

/// A route and what answers it, for people.
pub struct RouteSummary {
    /// As `spin up` prints it: `/a`, or `/a (wildcard)`.
    pub pattern: String,
    /// The component's id.
    pub target: String,
}

impl HttpApp {
    /// One whose parts have yet to be made; `rest` makes them again.
    pub(super) fn new(id: Arc<str>, overruns: Arc<Overruns>, rest: Option<Rest>) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            id,
            overruns,
            life: Life::default(),
            slot: Slot::new(rest),
            address: OnceLock::new(),
            this: this.clone(),
        })
    }

    /// The app, as its file names it.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(super) fn shared_id(&self) -> Arc<str> {
        self.id.clone()
    }

    /// `None`: it is being dropped.
    pub(super) fn shared(&self) -> Option<Arc<Self>> {
        self.this.upgrade()
    }

    /// The way back to the app, for its guests' requests to themselves.
    pub(super) fn local(&self) -> Weak<dyn LocalDispatch> {
        self.this.clone()
    }

    pub(super) fn metrics(&self) -> &AppMetrics {
        self.overruns.metrics()
    }

    pub(super) fn life(&self) -> &Life {
        &self.life
    }

    /// Told once by the first listener.
    pub(super) fn served_at(&self, address: &ListenAddress) {
        self.address.get_or_init(|| match address {
            ListenAddress::Tcp(address) => Some(*address),
            ListenAddress::Unix(_) => None,
        });
    }

    /// Whether it is being drained.
    pub(super) fn is_going(&self) -> bool {
        self.life.drain.is_cancelled()
    }

    /// Counts a request among those in flight. `None` when the app is being drained: the drain may be over before
    /// the request begins, so the request belongs to the app that has taken this one's place.
    pub(super) fn enter(&self) -> Option<TaskTrackerToken> {
        let in_flight = self.life.in_flight.token();
        // In this order: what is counted before the drain begins is waited for.
        (!self.is_going()).then_some(in_flight)
    }

    /// Answers one request from a client, for which the app is at `site`; every failure is a response.
    pub(super) async fn serve(
        &self,
        request: Request<TimedBody>,
        site: &Site,
        facts: &RequestFacts,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        let mut request = request.map(BodyExt::boxed_unsync);
        let prefix = site.stripped();
        let asked = Asked {
            facts,
            target: &request.uri().clone(),
            prefix,
        };
        if strip(&mut request, prefix).is_none() {
            return refuse(Refusal::BadRequest);
        }
        let origin = Origin::Client(asked);
        // Whoever asks whether the app is there does not wake it.
        if request.uri().path() == HEALTH {
            return health(origin);
        }
        let parts = match self.parts().await {
            Ok(parts) => parts,
            Err(error) => return self.cannot_be_had(&*error),
        };
        // Whoever asks whether the app is well is not kept from the answer by those who keep it busy.
        let request = match request.uri().path().starts_with(WELL_KNOWN) {
            true => Ok(request),
            false => parts.admission.examine(request),
        };
        match request {
            Ok(request) => self.route(&parts, request, origin, 0, in_flight).await,
            Err(refusal) => turned_away(refusal, origin),
        }
    }

    /// Answers a request that is no client's.
    pub(super) async fn answer(
        &self,
        request: Request<WasiBody>,
        origin: Origin<'_>,
        depth: u8,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        match self.parts().await {
            Ok(parts) => self.route(&parts, request, origin, depth, in_flight).await,
            Err(error) => self.cannot_be_had(&*error),
        }
    }

    async fn route(
        &self,
        parts: &AppParts,
        mut request: Request<WasiBody>,
        origin: Origin<'_>,
        depth: u8,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        // A handle on the same bytes: the match borrows from it while the request changes.
        let target = request.uri().clone();
        let path = target.path();
        if let Some(name) = path.strip_prefix(WELL_KNOWN) {
            return match name {
                "health" => health(origin),
                "info" => respond::info(&Info {
                    name: &parts.name,
                    version: parts.version.as_deref(),
                    oci_image_digest: Some(&parts.digest),
                }),
                _ => refuse(Refusal::NotFound),
            };
        }
        let Some(route) = parts.router.find(path) else {
            return refuse(Refusal::NotFound);
        };
        let component = match &parts.endpoints[route.target()] {
            Endpoint::Static(response) => return response.respond(),
            Endpoint::Component(component) => component,
        };
        if make_absolute(&mut request, origin.scheme()).is_none() {
            return refuse(Refusal::BadRequest);
        }
        self.call(parts, component, request, Some(&route), origin, depth, in_flight)
            .await
    }

    /// Has a component answer; a failure is logged once, with what the operator needs, and is a status for the client.
    #[expect(clippy::too_many_arguments, reason = "they are what one request is")]
    async fn call(
        &self,
        parts: &AppParts,
        component: &str,
        mut request: Request<WasiBody>,
        route: Option<&RouteMatch<'_>>,
        origin: Origin<'_>,
        depth: u8,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        // Routes name components that exist: the app was checked when it was prepared.
        let Some(HttpComponent { guest, executor }) = parts.components.get(component) else {
            return refuse(Refusal::GuestFailed);
        };
        let request_id = RequestId::of(request.headers());
        // A chained call has its caller's place: waiting for another could wait for itself.
        let admitted = match depth {
            0 => match parts.admission.admit().await {
                Ok(place) => Some(place),
                Err(refusal) => return turned_away(refusal, origin),
            },
            _ => None,
        };
        if let Err(error) = headers::inject(&mut request, route, origin, &parts.base_path) {
            return self.failed(component, request_id.as_ref(), &error);
        }
        let executor = match executor.get().await {
            Ok(executor) => executor,
            Err(error) => return self.failed(component, request_id.as_ref(), &GuestError::Code(error)),
        };
        if let (Executor::Wagi(_), Some(route)) = (&*executor, route) {
            let matches = route.parameters();
            let matches = matches.map(|(name, value)| (name.to_owned(), value.to_owned()));
            request.extensions_mut().insert(PathMatches(matches.collect()));
        }
        telemetry::called(KIND, &guest.settings.app, &guest.settings.component);
        let method = request.method().clone();
        let span = request.extensions_mut().remove();
        if let Some(span) = &span {
            let route = route.map(RouteMatch::matched_route);
            telemetry::routed(span, &method, route, component);
        }
        let mut client = ClientGuard::new(self.id.clone(), request_id.clone(), span);
        let ending = self.ending(parts, request.extensions_mut().remove(), depth);
        let deadline = ending.deadline();
        let mut ended = ending.wait();
        let answered = tokio::select! {
            // The end of the app ends the guest too, which is not the guest's failure; nor is a body that was too large.
            biased;
            refusal = &mut ended => return turned_away(refusal, origin),
            answered = executor.handle(guest, request, depth, client.watch()) => answered,
        };
        match answered {
            Ok(response) => {
                GuestBody::wrap(response, &method, client, ended, deadline, (in_flight, admitted))
            }
            Err(error) => {
                client.answered_by_host();
                self.failed(component, request_id.as_ref(), &error)
            }
        }
    }

    /// A chained call has its caller's time.
    fn ending(&self, parts: &AppParts, oversize: Option<Oversize>, depth: u8) -> Ending {
        let time = parts.admission.limits().time.filter(|_| depth == 0);
        let force = self.life.force.clone();
        Ending::new(force, time, oversize, self.overruns.clone())
    }

    /// As it would arrive over the app's own listener: the empty host or `self.alt` that the guest wrote is no name.
    fn addressed_to_itself(&self, mut request: Request<WasiBody>) -> Request<WasiBody> {
        request.headers_mut().remove(header::HOST);
        let mut parts = request.uri().clone().into_parts();
        parts.authority = self.address.get().map(|address| {
            let address = address.and_then(|address| Authority::try_from(address.to_string()).ok());
            address.unwrap_or(Authority::from_static("localhost"))
        });
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
    }

    /// What was there when the app was prepared is not there now.
    fn cannot_be_had(&self, error: &(dyn Error + 'static)) -> Response<WasiBody> {
        self.metrics().fail(Failure::Code);
        tracing::error!(app = self.id(), error, "the app can't be made ready again");
        refuse(Refusal::Unavailable)
    }

    fn failed(
        &self,
        component: &str,
        request_id: Option<&RequestId>,
        error: &GuestError,
    ) -> Response<WasiBody> {
        let app = self.id();
        let request_id = request_id.map(tracing::field::display);
        if let Some(failure) = error.failure() {
            self.metrics().fail(failure);
        }
        match error {
            GuestError::MethodNotAllowed => return refuse(Refusal::MethodNotAllowed),
            GuestError::BodyBrokeOff => {}
            GuestError::BodyTooLarge => return refuse(Refusal::TooLarge),
            GuestError::Exhausted => {
                self.overruns.record(Reason::Queue);
                return refuse(Refusal::Busy);
            }
            GuestError::Limit(limit) => self.overruns.record(limit.reason()),
            GuestError::InstanceEnded => {
                tracing::error!(
                    app,
                    component,
                    request_id,
                    "a request failed with the instance that had it"
                );
            }
            // `{:?}` of an engine's error has the Wasm backtrace.
            GuestError::Trap(cause) => {
                tracing::error!(
                    app,
                    component,
                    request_id,
                    error = format!("{cause:?}"),
                    "the guest trapped"
                );
            }
            GuestError::Code(error) => {
                let error = error as &dyn std::error::Error;
                tracing::error!(
                    app,
                    component,
                    request_id,
                    error,
                    "the component's code can't be had"
                );
                return refuse(Refusal::Unavailable);
            }
            other => tracing::error!(app, component, request_id, error = %other, "the guest failed"),
        }
        refuse(Refusal::GuestFailed)
    }
}

impl Drop for HttpApp {
    /// Also of a version that was never served: what it was asked for its health may still be at work.
    fn drop(&mut self) {
        self.life.force.cancel();
    }
}

fn health(origin: Origin<'_>) -> Response<WasiBody> {
    match origin.ready() {
        true => respond::healthy(),
        false => refuse(Refusal::Unavailable),
    }
}

/// The answer to a request that the app's limits, or its end, have cut short.
fn turned_away(refusal: Refusal, origin: Origin<'_>) -> Response<WasiBody> {
    match origin {
        Origin::Client(asked) => respond::explain(refusal, refusal.detail(), asked.target.path()),
        Origin::Chained | Origin::Itself => refuse(refusal),
    }
}

/// Removes a prefix from the request's path. `None` where that leaves none.
fn strip(request: &mut Request<WasiBody>, prefix: &str) -> Option<()> {
    if prefix.is_empty() {
        return Some(());
    }
    let mut parts = request.uri().clone().into_parts();
    let rest = parts.path_and_query.as_ref()?.as_str().strip_prefix(prefix)?;
    let rest = match rest.starts_with('/') {
        true => rest.to_owned(),
        false => format!("/{rest}"),
    };
    parts.path_and_query = Some(PathAndQuery::try_from(rest).ok()?);
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(())
}

/// Gives the request's URI this scheme and an authority. `None` where there is no authority, or more than one.
fn make_absolute(request: &mut Request<WasiBody>, scheme: Scheme) -> Option<()> {
    let authority = host::authority(request)??;
    let mut parts = request.uri().clone().into_parts();
    parts.authority = Some(authority);
    parts.scheme = Some(scheme);
    parts.path_and_query.get_or_insert(PathAndQuery::from_static("/"));
    *request.uri_mut() = Uri::from_parts(parts).ok()?;
    Some(())
}

impl LocalDispatch for HttpApp {
    fn chain(
        &self,
        component: &str,
        request: Request<WasiBody>,
        depth: u8,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, DispatchError>> {
        let app = self.this.upgrade();
        let component = component.to_owned();
        async move {
            let app = admit(app, depth)?;
            let in_flight = app.life().in_flight.token();
            let parts = match app.parts().await {
                Ok(parts) => parts,
                Err(error) => return Ok(app.cannot_be_had(&*error)),
            };
            if !parts.components.contains_key(&component) {
                return Err(DispatchError::NoSuchComponent(component));
            }
            Ok(app
                .call(
                    &parts,
                    &component,
                    request,
                    None,
                    Origin::Chained,
                    depth,
                    in_flight,
                )
                .await)
        }
        .boxed()
    }

    fn to_self(
        &self,
        request: Request<WasiBody>,
        depth: u8,
    ) -> BoxFuture<'static, Result<Response<WasiBody>, DispatchError>> {
        let app = self.this.upgrade();
        async move {
            let app = admit(app, depth)?;
            let in_flight = app.life().in_flight.token();
            Ok(app
                .answer(app.addressed_to_itself(request), Origin::Itself, depth, in_flight)
                .await)
        }
        .boxed()
    }
}

fn admit(app: Option<Arc<HttpApp>>, depth: u8) -> Result<Arc<HttpApp>, DispatchError> {
    if depth > MAX_CHAIN_DEPTH {
        return Err(DispatchError::TooDeep);
    }
    app.ok_or(DispatchError::Stopped)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn absolute(target: &str, host: Option<&str>) -> Option<String> {
        let mut request = Request::builder().uri(target);
        if let Some(host) = host {
            request = request.header(header::HOST, host);
        }
        let mut request = request.body(respond::empty()).unwrap();
        make_absolute(&mut request, Scheme::HTTP)?;
        Some(request.uri().to_string())
    }

    #[test]
    fn the_host_header_names_the_authority() {
        assert_eq!(absolute("/a?b", Some("h:1")), Some("http://h:1/a?b".into()));
    }

    #[test]
    fn an_absolute_target_must_agree_with_the_host_header() {
        assert_eq!(absolute("http://h/a", Some("h")), Some("http://h/a".into()));
        assert_eq!(absolute("http://h/a", None), Some("http://h/a".into()));
        assert_eq!(absolute("http://h/a", Some("other")), None);
    }

    #[test]
    fn without_any_authority_there_is_no_uri() {
        assert_eq!(absolute("/a", None), None);
        assert_eq!(absolute("/a", Some("not a host")), None);
        assert_eq!(absolute("/a", Some("")), None);
    }

    #[test]
    fn a_host_is_one_name_and_has_no_user() {
        let mut request = Request::builder()
            .uri("/")
            .header(header::HOST, "a")
            .header(header::HOST, "a")
            .body(respond::empty())
            .unwrap();
        assert_eq!(make_absolute(&mut request, Scheme::HTTP), None);
        assert_eq!(absolute("/a", Some("user@h")), None);
        assert_eq!(absolute("http://user@h/a", None), None);
        assert_eq!(absolute("/a", Some("[::1]:80")), Some("http://[::1]:80/a".into()));
    }

    fn stripped(target: &str, prefix: &str) -> String {
        let mut request = Request::builder().uri(target).body(respond::empty()).unwrap();
        strip(&mut request, prefix).unwrap();
        request.uri().to_string()
    }

    #[test]
    fn a_removed_prefix_leaves_a_path_and_the_query() {
        assert_eq!(stripped("/shop/cart?x=/shop", "/shop"), "/cart?x=/shop");
        assert_eq!(stripped("/shop", "/shop"), "/");
        assert_eq!(stripped("/shop?x", "/shop"), "/?x");
        assert_eq!(stripped("/shop/", "/shop"), "/");
        assert_eq!(stripped("/shop//x", "/shop"), "//x");
        assert_eq!(stripped("http://h:1/shop/x", "/shop"), "http://h:1/x");
        assert_eq!(stripped("/shop/x", ""), "/shop/x");
    }
}
