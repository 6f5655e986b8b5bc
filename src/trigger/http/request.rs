//! One request: whose it is, and what the host answers itself.

use std::convert::Infallible;
use std::sync::Arc;

use http::uri::Scheme;
use http::{HeaderValue, Method, Request, Response, StatusCode, Version, header};
use http_body::Body as _;
use hyper::body::Incoming;
use wasmtime_wasi_http::WasiBody;

use super::access_log::{Outgoing, Record};
use super::app::HttpApp;
use super::client::{ClientFacts, RequestFacts};
use super::cookies;
use super::host;
use super::listener::{Listener, Role};
use super::request_id::{REQUEST_ID, RequestId};
use super::respond::{self, GOING, Refusal, explain, refuse};
use super::streams::Pieces;
use super::timeouts::{InFlight, Pace, TimedBody};
use super::tls::location;
use crate::metrics::Served;
use crate::telemetry::{self, RequestTelemetry};

/// What clients are told whose handshake was for a host that demands other certificates.
const OTHER_AUTHORITY: &str =
    "the host demands a client certificate, and this connection was made without; make one for the host";
/// What clients are told whose connection is older than the app's TLS.
const NOW_SECURE: &str = "the app is met by TLS now; make a new connection";
/// What a client is told at an address that only sends on to https, if it has come by https.
const SECURE_ALREADY: &str = "the request came by https, and this address only sends others there";

/// Gives each request its name, and learns who has asked, before anybody else sees it: at once, since a client may be gone
/// before its request is looked at again.
pub(super) fn respond(
    listener: Arc<Listener>,
    mut request: Request<Incoming>,
    client: Arc<ClientFacts>,
    in_flight: InFlight,
) -> impl Future<Output = Result<Response<Pieces<Outgoing>>, Infallible>> {
    let shared = &listener.shared;
    let id = RequestId::settle(request.headers_mut());
    cookies::hide_sessions(request.headers_mut());
    let ready = !shared.lame_duck.is_cancelled();
    let trusted = &shared.settings.trusted_proxies;
    let facts = client.of_forwarded(request.headers_mut(), trusted, ready);
    let begin = |facts: &RequestFacts| {
        let log = shared.access_log.as_ref()?;
        Some(log.begin(&request, &client, facts, &id))
    };
    let mut record = match &facts {
        Ok(facts) => begin(facts),
        Err(_) => begin(&client.of_request(ready)),
    };
    let mut told = match &facts {
        Ok(facts) => telemetry::request(&request, &facts.scheme, facts.client),
        Err(_) => telemetry::request(&request, &client.scheme, client.peer),
    };
    if let Some(span) = told.as_ref().and_then(|told| told.span()) {
        request.extensions_mut().insert(span.clone());
    }
    let (method, version) = (request.method().clone(), request.version());
    let mut served = Served::begin();
    async move {
        let mut response = match facts {
            Ok(facts) => {
                let seen = Seen {
                    record: record.as_mut(),
                    told: told.as_deref_mut(),
                    served: &mut served,
                };
                answer(&listener, request, &client, &facts, seen).await
            }
            Err(unbelievable) => {
                let path = request.uri().path();
                explain(Refusal::BadRequest, &unbelievable.to_string(), path)
            }
        };
        response.headers_mut().insert(REQUEST_ID, id.value());
        if in_flight.is_last() {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(header::CONNECTION, close);
        }
        let response = Outgoing::wrap(response, record, told, served, in_flight);
        Ok(match version {
            Version::HTTP_2 => for_stream(response, &method),
            _ => response.map(Pieces::of),
        })
    }
}

/// Without the content that a response to such a request must not have (RFC 9110 §6.4.1): clients take it for a broken stream.
fn for_stream(mut response: Response<Outgoing>, method: &Method) -> Response<Pieces<Outgoing>> {
    match (method, response.status()) {
        (_, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) => response.map(Pieces::unsent),
        (&Method::HEAD, _) => {
            let length = response.body().size_hint().exact();
            if let Some(length) = length.filter(|length| *length > 0) {
                let headers = response.headers_mut();
                headers.entry(header::CONTENT_LENGTH).or_insert(length.into());
            }
            response.map(Pieces::unsent)
        }
        _ => response.map(Pieces::of),
    }
}

/// Whoever learns of a request.
struct Seen<'a> {
    record: Option<&'a mut Record>,
    told: Option<&'a mut RequestTelemetry>,
    served: &'a mut Served,
}

impl Seen<'_> {
    fn served_by(&mut self, app: &HttpApp) {
        if let Some(record) = &mut self.record {
            record.served_by(app.shared_id());
        }
        if let Some(told) = &mut self.told {
            told.served_by(app.shared_id());
        }
        self.served.by(app.metrics());
    }
}

/// Each request looks up the app anew: a kept connection's next request goes to the new version.
async fn answer(
    listener: &Listener,
    request: Request<Incoming>,
    client: &ClientFacts,
    facts: &RequestFacts,
    mut seen: Seen<'_>,
) -> Response<WasiBody> {
    // Before any app: the authority looks where the name leads, whatever is there.
    if let Some(answer) = listener.shared.challenges.request(request.uri().path()) {
        return respond::challenge(answer);
    }
    let Some(host) = host::asked_for(&request) else {
        return refuse(Refusal::BadRequest);
    };
    let mut drained = None;
    loop {
        let path = request.uri().path();
        let Some(place) = listener.find(host.as_deref(), path) else {
            return nobody(listener, host.as_deref(), path);
        };
        seen.served_by(&place.app);
        // An app that is being drained has been replaced, or its place is being taken away.
        if drained.as_ref().is_some_and(|old| Arc::ptr_eq(&place, old)) {
            return explain(Refusal::Unavailable, GOING, path);
        }
        match &place.role {
            // Behind a proxy that speaks TLS itself, it would come back here.
            Role::Redirect { .. } if facts.scheme == Scheme::HTTPS => {
                return explain(Refusal::NotFound, SECURE_ALREADY, path);
            }
            Role::Redirect { port } => return send_on(&request, *port),
            Role::Serve { tls: Some(_) } if client.scheme != Scheme::HTTPS => {
                return explain(Refusal::Misdirected, NOW_SECURE, path);
            }
            Role::Serve { tls: Some(tls) } if !client.tls.satisfy(tls) => {
                return explain(Refusal::Misdirected, OTHER_AUTHORITY, path);
            }
            Role::Serve { .. } => {}
        }
        let Some(in_flight) = place.app.enter() else {
            drained = Some(place);
            continue;
        };
        let (pace, version) = (Arc::new(Pace::default()), request.version());
        let timeout = listener.shared.settings.body_timeout;
        let request = request.map(|body| TimedBody::new(body, timeout, &pace));
        let response = tokio::select! {
            biased;
            response = place.app.serve(request, &place.site, facts, in_flight) => response,
            () = pace.late() => return too_slow(version),
        };
        // What the guest says of it tells the client less.
        if pace.is_late() {
            return too_slow(version);
        }
        pace.answered();
        return response;
    }
}

/// The client is not waited for any more: its connection is of no use.
fn too_slow(version: Version) -> Response<WasiBody> {
    let mut response = refuse(Refusal::TooSlow);
    if version < Version::HTTP_2 {
        response
            .headers_mut()
            .insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// To the same thing over https.
fn send_on(request: &Request<Incoming>, port: u16) -> Response<WasiBody> {
    let authority = host::authority(request).flatten();
    let location = authority.and_then(|asked| location(&asked, port, request.uri().path_and_query()));
    location.map_or_else(|| refuse(Refusal::BadRequest), respond::redirect)
}

/// No app is at this host and path.
fn nobody(listener: &Listener, host: Option<&str>, path: &str) -> Response<WasiBody> {
    if listener.is_closing() {
        return explain(Refusal::Unavailable, GOING, path);
    }
    let detail = match host {
        Some(host) => format!("no app is served at {host}{path}"),
        None => format!("the request names no host, and no app is served at {path} for every host"),
    };
    explain(Refusal::NotFound, &detail, path)
}
