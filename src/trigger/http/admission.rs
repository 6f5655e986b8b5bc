//! Which requests an app takes now, which wait, and which are turned away.
//!
//! All of it belongs to one version of an app: while an older one drains, the app may have as many requests again, and an
//! edit begins with a full rate. Requests of the app's guests to each other and to itself have their caller's place.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::{DefaultDirectRateLimiter, Quota};
use http::Request;
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::WasiBody;

use super::body::{LimitedBody, Oversize};
use super::respond::Refusal;
use crate::runtime::{Overruns, Reason};

/// Bytes of a request's headers that any app may accept: servers read them before they know the app. HTTP/2 takes no more;
/// what HTTP/1.1 takes is more, and bounded.
pub const MAX_HEADERS: usize = 256 << 10;
/// Bytes of a header's line besides its name and its value.
const HEADER_OVERHEAD: usize = ": \r\n".len();

/// What one version of an app accepts of its clients; `None` is any number.
#[derive(Debug, Clone)]
pub struct RequestLimits {
    /// Until the last byte of the response.
    pub time: Option<Duration>,
    pub at_once: Option<usize>,
    /// Requests that wait for a place, and how long.
    pub queue: Option<usize>,
    pub queue_time: Option<Duration>,
    /// Shared by all that is made of the version, now and later.
    pub rate: Option<Arc<RateGate>>,
    /// Bytes.
    pub body: Option<u64>,
    /// Bytes, of the target too.
    pub headers: Option<usize>,
    pub overruns: Arc<Overruns>,
}

/// How often clients may ask.
#[derive(Debug)]
pub struct RateGate(DefaultDirectRateLimiter);

impl RateGate {
    /// `every`: between two requests that come evenly; `burst`: at once after a pause. `None`: a rate without a pause between
    /// two requests is none.
    pub fn new(every: Duration, burst: u32) -> Option<Self> {
        let burst = NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::with_period(every)?.allow_burst(burst);
        Some(Self(DefaultDirectRateLimiter::direct(quota)))
    }
}

impl RequestLimits {
    /// No limit.
    pub fn none(overruns: Arc<Overruns>) -> Self {
        Self {
            time: None,
            at_once: None,
            queue: None,
            queue_time: None,
            rate: None,
            body: None,
            headers: None,
            overruns,
        }
    }
}

#[cfg(test)]
impl Default for RequestLimits {
    fn default() -> Self {
        Self::none(Arc::new(Overruns::alone()))
    }
}

/// The gate of one version of an app.
pub(super) struct Admission {
    limits: RequestLimits,
    places: Arc<Semaphore>,
    queue: Semaphore,
}

impl Admission {
    pub(super) fn new(limits: RequestLimits) -> Self {
        let permits = |limit: Option<usize>| limit.map_or(Semaphore::MAX_PERMITS, permits);
        Self {
            places: Arc::new(Semaphore::new(permits(limits.at_once))),
            queue: Semaphore::new(permits(limits.queue)),
            limits,
        }
    }

    pub(super) fn limits(&self) -> &RequestLimits {
        &self.limits
    }

    /// Looks at a request as it came from a client, and keeps its body within bounds.
    pub(super) fn examine(&self, mut request: Request<WasiBody>) -> Result<Request<WasiBody>, Refusal> {
        if self.limits.headers.is_some_and(|most| size(&request) > most) {
            return Err(self.refused(Reason::Headers, Refusal::HeadersTooLarge));
        }
        if let Some(rate) = &self.limits.rate
            && let Err(early) = rate.0.check()
        {
            let wait = early.wait_time_from(DefaultClock::default().now());
            return Err(self.refused(Reason::Rate, Refusal::TooOften(wait)));
        }
        let Some(most) = self.limits.body else {
            return Ok(request);
        };
        if request.body().size_hint().lower() > most {
            return Err(self.refused(Reason::Body, Refusal::TooLarge));
        }
        let oversize = Oversize::new(self.limits.overruns.clone());
        request.extensions_mut().insert(oversize.clone());
        Ok(request.map(|body| LimitedBody::new(body, most, oversize).boxed_unsync()))
    }

    /// A place among the app's requests, in the order in which they came.
    pub(super) async fn admit(&self) -> Result<OwnedSemaphorePermit, Refusal> {
        // There is none while others wait: places that become free are theirs.
        if let Ok(place) = self.places.clone().try_acquire_owned() {
            return Ok(place);
        }
        let full = || self.refused(Reason::Queue, Refusal::Busy);
        let _waiting = self.queue.try_acquire().map_err(|_| full())?;
        let place = self.places.clone().acquire_owned();
        let place = match self.limits.queue_time {
            Some(time) => tokio::time::timeout(time, place).await.map_err(|_| full())?,
            None => place.await,
        };
        // The semaphore is never closed.
        place.map_err(|_| full())
    }

    fn refused(&self, reason: Reason, refusal: Refusal) -> Refusal {
        self.limits.overruns.record(reason);
        refusal
    }
}

fn permits(limit: usize) -> usize {
    limit.min(Semaphore::MAX_PERMITS)
}

/// Bytes of a request's target and headers, as HTTP/1.1 writes them.
fn size(request: &Request<WasiBody>) -> usize {
    let target = request.uri();
    let authority = target.authority().map_or(0, |authority| authority.as_str().len());
    let path = target.path_and_query().map_or(0, |path| path.as_str().len());
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| name.as_str().len() + value.len() + HEADER_OVERHEAD);
    authority + path + headers.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::respond;
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn requests_wait_in_the_order_they_came_and_no_longer_than_they_may() {
        let gate = Admission::new(RequestLimits {
            at_once: Some(1),
            queue: Some(2),
            queue_time: Some(Duration::from_secs(1)),
            ..RequestLimits::default()
        });
        let first = gate.admit().await.unwrap();
        let (mut second, mut third) = (Box::pin(gate.admit()), Box::pin(gate.admit()));
        assert!(futures::poll!(&mut second).is_pending());
        assert!(futures::poll!(&mut third).is_pending());
        assert_eq!(gate.admit().now_or_never().unwrap().unwrap_err(), Refusal::Busy);
        drop(first);
        assert!(futures::poll!(&mut third).is_pending());
        let _second = second.await.unwrap();
        assert_eq!(third.await.unwrap_err(), Refusal::Busy);
        assert_eq!(gate.limits.overruns.total(Reason::Queue), 2);
    }

    #[test]
    fn a_rate_has_a_burst_and_says_when_to_come_back() {
        let gate = Admission::new(RequestLimits {
            rate: RateGate::new(Duration::from_secs(3600), 2).map(Arc::new),
            ..RequestLimits::default()
        });
        let ask = || gate.examine(Request::new(respond::empty()));
        assert!(ask().is_ok() && ask().is_ok());
        let Err(Refusal::TooOften(wait)) = ask() else {
            panic!("the third is too many")
        };
        assert!(wait > Duration::from_secs(3500), "{wait:?}");
    }

    #[test]
    fn headers_and_announced_bodies_are_looked_at() {
        let gate = Admission::new(RequestLimits {
            headers: Some(30),
            body: Some(3),
            ..RequestLimits::default()
        });
        let request = |header: &'static str, body: &'static [u8]| {
            let request = Request::builder().uri("/0123456789").header("name", header);
            gate.examine(request.body(respond::full(body.into())).unwrap())
        };
        assert!(request("12345678901", b"abc").is_ok());
        assert_eq!(
            request("123456789012", b"abc").unwrap_err(),
            Refusal::HeadersTooLarge
        );
        assert_eq!(request("1", b"abcd").unwrap_err(), Refusal::TooLarge);
    }
}
