//! One version of an app, ready to serve: request to response (`docs/contract/http-trigger.md §4`).

use std::collections::HashMap;
use std::sync::{Arc, OnceLock, Weak};

use futures::FutureExt;
use futures::future::BoxFuture;
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, header};
use http_body_util::BodyExt;
use tokio_util::task::task_tracker::TaskTrackerToken;
use wasmtime_wasi_http::WasiBody;

use super::admission::Admission;
use super::bind::ListenAddress;
use super::body::Oversize;
use super::client::RequestFacts;
use super::ending::Ending;
use super::exchange::{ClientGuard, GuestBody};
use super::executor::{Executor, GuestError, OnDemand, PathMatches};
use super::headers::{self, Asked, Origin};
use super::host;
use super::prepare::KIND;
use super::request_id::RequestId;
use super::respond::{self, Info, Refusal, refuse};
use super::router::{RouteMatch, Router};
use super::static_response::StaticResponse;
use super::timeouts::TimedBody;
use crate::metrics::AppMetrics;
use crate::net::Site;
use crate::runtime::{DispatchError, LocalDispatch, MAX_CHAIN_DEPTH, Reason};
use crate::telemetry;
use crate::trigger::guest::{Guest, Life};

/// Paths that the host answers itself.
const WELL_KNOWN: &str = "/.well-known/spin/";

/// One version of an app. Its listener holds it, and every request that it has in flight.
pub struct HttpApp {
    pub(super) parts: AppParts,
    /// Where the app is served, once it is: the authority of its requests to itself.
    address: OnceLock<Authority>,
    this: Weak<Self>,
}

/// What an app is made of.
pub(super) struct AppParts {
    pub(super) id: Arc<str>,
    pub(super) name: String,
    pub(super) version: Option<String>,
    /// Of the artifact's manifest.
    pub(super) digest: String,
    pub(super) router: Router,
    /// What `spin-base-path` says.
    pub(super) base_path: String,
    /// What each route of the router leads to.
    pub(super) endpoints: Box<[Endpoint]>,
    /// Every component with an HTTP trigger, public or private.
    pub(super) components: HashMap<String, HttpComponent>,
    pub(super) life: Life,
    pub(super) admission: Admission,
}

/// A route and what answers it, for people.
pub struct RouteSummary {
    /// As `spin up` prints it: `/a`, or `/a (wildcard)`.
    pub pattern: String,
    /// The component's id.
    pub target: String,
}

pub(super) enum Endpoint {
    Component(String),
    Static(StaticResponse),
}

/// A component and how it is called.
pub(super) struct HttpComponent {
    pub(super) guest: Arc<Guest>,
    pub(super) executor: Arc<OnDemand>,
}

impl HttpApp {
    /// `parts` is given the way back to the app, for its guests' requests to themselves.
    pub(super) fn new(parts: impl FnOnce(Weak<dyn LocalDispatch>) -> AppParts) -> Arc<Self> {
        Arc::new_cyclic(|this: &Weak<Self>| Self {
            parts: parts(this.clone()),
            address: OnceLock::new(),
            this: this.clone(),
        })
    }

    /// The app, as its file names it.
    pub fn id(&self) -> &str {
        &self.parts.id
    }

    pub(super) fn shared_id(&self) -> Arc<str> {
        self.parts.id.clone()
    }

    /// Of the artifact's manifest.
    pub fn digest(&self) -> &str {
        &self.parts.digest
    }

    /// What clients can ask for, most specific first.
    pub fn routes(&self) -> Vec<RouteSummary> {
        let summary = |(pattern, target): (&str, usize)| {
            let target = match &self.parts.endpoints[target] {
                Endpoint::Component(id) => id.clone(),
                Endpoint::Static(_) => "static response".into(),
            };
            let pattern = match pattern.strip_suffix("/...").or(pattern.strip_suffix("/*")) {
                Some(prefix) => format!("{prefix} (wildcard)"),
                None => pattern.to_owned(),
            };
            RouteSummary { pattern, target }
        };
        self.parts.router.routes().map(summary).collect()
    }

    pub(super) fn metrics(&self) -> &AppMetrics {
        self.parts.admission.limits().overruns.metrics()
    }

    pub(super) fn life(&self) -> &Life {
        &self.parts.life
    }

    /// Told once by the first listener.
    pub(super) fn served_at(&self, address: &ListenAddress) {
        let authority = match address {
            ListenAddress::Tcp(address) => Authority::try_from(address.to_string()).ok(),
            ListenAddress::Unix(_) => None,
        };
        self.address
            .get_or_init(|| authority.unwrap_or(Authority::from_static("localhost")));
    }

    /// Whether it is being drained.
    pub(super) fn is_going(&self) -> bool {
        self.parts.life.drain.is_cancelled()
    }

    /// Counts a request among those in flight. `None` when the app is being drained: the drain may be over before
    /// the request begins, so the request belongs to the app that has taken this one's place.
    pub(super) fn enter(&self) -> Option<TaskTrackerToken> {
        let in_flight = self.parts.life.in_flight.token();
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
        // Whoever asks whether the app is well is not kept from the answer by those who keep it busy.
        let request = match request.uri().path().starts_with(WELL_KNOWN) {
            true => Ok(request),
            false => self.parts.admission.examine(request),
        };
        match request {
            Ok(request) => self.answer(request, origin, 0, in_flight).await,
            Err(refusal) => turned_away(refusal, origin),
        }
    }

    pub(super) async fn answer(
        &self,
        mut request: Request<WasiBody>,
        origin: Origin<'_>,
        depth: u8,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        // A handle on the same bytes: the match borrows from it while the request changes.
        let target = request.uri().clone();
        let path = target.path();
        if let Some(name) = path.strip_prefix(WELL_KNOWN) {
            return self.well_known(name, origin);
        }
        let Some(route) = self.parts.router.find(path) else {
            return refuse(Refusal::NotFound);
        };
        let component = match &self.parts.endpoints[route.target()] {
            Endpoint::Static(response) => return response.respond(),
            Endpoint::Component(component) => component,
        };
        if make_absolute(&mut request, origin.scheme()).is_none() {
            return refuse(Refusal::BadRequest);
        }
        self.call(component, request, Some(&route), origin, depth, in_flight)
            .await
    }

    fn well_known(&self, name: &str, origin: Origin<'_>) -> Response<WasiBody> {
        match name {
            "health" if !origin.ready() => refuse(Refusal::Unavailable),
            "health" => respond::healthy(),
            "info" => respond::info(&Info {
                name: &self.parts.name,
                version: self.parts.version.as_deref(),
                oci_image_digest: Some(&self.parts.digest),
            }),
            _ => refuse(Refusal::NotFound),
        }
    }

    /// Has a component answer; a failure is logged once, with what the operator needs, and is a status for the client.
    async fn call(
        &self,
        component: &str,
        mut request: Request<WasiBody>,
        route: Option<&RouteMatch<'_>>,
        origin: Origin<'_>,
        depth: u8,
        in_flight: TaskTrackerToken,
    ) -> Response<WasiBody> {
        // Routes name components that exist: the app was checked when it was prepared.
        let Some(HttpComponent { guest, executor }) = self.parts.components.get(component) else {
            return refuse(Refusal::GuestFailed);
        };
        let request_id = RequestId::of(request.headers());
        // A chained call has its caller's place: waiting for another could wait for itself.
        let admitted = match depth {
            0 => match self.parts.admission.admit().await {
                Ok(place) => Some(place),
                Err(refusal) => return turned_away(refusal, origin),
            },
            _ => None,
        };
        if let Err(error) = headers::inject(&mut request, route, origin, &self.parts.base_path) {
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
        let mut client = ClientGuard::new(self.parts.id.clone(), request_id.clone(), span);
        let ending = self.ending(request.extensions_mut().remove(), depth);
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
    fn ending(&self, oversize: Option<Oversize>, depth: u8) -> Ending {
        let limits = self.parts.admission.limits();
        let time = limits.time.filter(|_| depth == 0);
        let force = self.parts.life.force.clone();
        Ending::new(force, time, oversize, limits.overruns.clone())
    }

    /// As it would arrive over the app's own listener: the empty host or `self.alt` that the guest wrote is no name.
    fn addressed_to_itself(&self, mut request: Request<WasiBody>) -> Request<WasiBody> {
        request.headers_mut().remove(header::HOST);
        let mut parts = request.uri().clone().into_parts();
        parts.authority = self.address.get().cloned();
        if let Ok(uri) = Uri::from_parts(parts) {
            *request.uri_mut() = uri;
        }
        request
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
                self.parts.admission.limits().overruns.record(Reason::Queue);
                return refuse(Refusal::Busy);
            }
            GuestError::Limit(limit) => self.parts.admission.limits().overruns.record(limit.reason()),
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
        self.parts.life.force.cancel();
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
            if !app.parts.components.contains_key(&component) {
                return Err(DispatchError::NoSuchComponent(component));
            }
            let in_flight = app.life().in_flight.token();
            Ok(app
                .call(&component, request, None, Origin::Chained, depth, in_flight)
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
